package memcom.core

import com.google.gson.stream.JsonReader
import com.google.gson.stream.JsonToken
import java.io.Reader
import java.util.BitSet

/**
 * Items and their ids, as `memcom_tf.Vocabulary` saved them.
 *
 * Item number i has the id `firstId + i`; smaller ids are reserved for padding and unknown items. A
 * hole is an id that is kept for an item to come; nothing ranks it, and nothing shows it.
 *
 * @property items what a data set calls its items, integers as text; "" for a hole
 * @property details texts of the items by name, such as "title", each aligned with [items]
 * @property firstId id of the first item
 * @property fingerprint tells vocabularies apart whose ids differ
 * @property holes which of [items] are none
 */
class Vocabulary(
    val items: List<String>,
    val details: Map<String, List<String>>,
    val firstId: Int,
    val fingerprint: String,
    private val holes: BitSet = BitSet(),
) {
    init {
        details.forEach { (name, texts) ->
            require(texts.size == items.size) { "`$name` must have ${items.size} texts. Received: ${texts.size}." }
        }
    }

    /** The ids, the reserved ones included: rows of an embedding table. */
    val inputDim: Int get() = firstId + items.size

    /** Ids without the reserved ones; among them may be holes. */
    val ids: IntRange get() = firstId until inputDim

    /** How many items there are. */
    val size: Int get() = items.size - holes.cardinality()

    /** Whether an id in [ids] is a hole. */
    fun isHole(id: Int): Boolean = holes[id - firstId]

    /** The item of an id in [ids]. */
    fun item(id: Int): String = items[id - firstId]

    /** The ids of those of [wanted] that are in the vocabulary, in their order. Goes through all items. */
    fun idsOf(wanted: List<String>): List<Int> {
        if (wanted.isEmpty()) return emptyList()
        val places = HashMap<String, Int>()
        val asked = wanted.toHashSet()
        items.forEachIndexed { index, item -> if (item in asked && !holes[index]) places[item] = index }
        return wanted.mapNotNull { item -> places[item]?.let { firstId + it } }
    }

    /** One detail of an id in [ids]; null where the vocabulary has none of that name. */
    fun detail(name: String, id: Int): String? = details[name]?.get(id - firstId)

    companion object {
        private const val FORMAT = "memcom_tf.vocabulary"
        private const val FORMAT_VERSION = 1

        /** Reads the member `vocabulary.json`. */
        fun read(text: Reader): Vocabulary {
            val fields = HashMap<String, String?>()
            val items = CompactTexts.Builder()
            val holes = BitSet()
            var slots = 0
            val details = LinkedHashMap<String, List<String>>()
            val json = JsonReader(text)
            json.forEachField { name ->
                when {
                    name == "items" -> json.forEachElement {
                        holes[slots++] = json.peek() == JsonToken.NULL
                        items.add(json.nextScalar().orEmpty())
                    }
                    name == "details" && json.peek() == JsonToken.BEGIN_OBJECT ->
                        json.forEachField { detail -> details[detail] = json.readTexts() }
                    else -> fields[name] = json.nextScalar()
                }
            }
            requireFormat("vocabulary", FORMAT, FORMAT_VERSION, fields)
            val sharesUnknown = fields["out_of_vocabulary"] == "share"
            val firstId = if (sharesUnknown) 2 else 1
            return Vocabulary(items.build(), details, firstId, fields["fingerprint"].orEmpty(), holes)
        }
    }
}
