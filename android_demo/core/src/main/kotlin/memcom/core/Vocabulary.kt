package memcom.core

import java.nio.ByteBuffer

/**
 * Items and their ids in the bytes of a model file, of which a lookup reads what it needs.
 *
 * Item number i has the id `firstId + i`; smaller ids are reserved for padding and unknown items. A
 * free id is kept for an item to come; nothing ranks it, and nothing shows it.
 *
 * @property items what a data set calls its items, integers as text; "" for a free id
 * @property details texts of the items by name, such as "title", each aligned with [items]
 * @property firstId id of the first item
 * @property fingerprint tells vocabularies apart whose ids differ
 */
class Vocabulary private constructor(
    val items: TextColumn,
    private val places: PackedInts,
    val details: Map<String, TextColumn>,
    val firstId: Int,
    val fingerprint: String,
) {
    /** The ids, the reserved ones included: rows of an embedding table. */
    val inputDim: Int get() = firstId + items.size

    /** Ids without the reserved ones; among them may be free ones. */
    val ids: IntRange get() = firstId until inputDim

    /** How many items there are. */
    val size: Int get() = items.distinct.size

    /** Whether an id in [ids] is free. */
    fun isHole(id: Int): Boolean = items.rank(id - firstId) == size

    /** The item of an id in [ids]. */
    fun item(id: Int): String = items[id - firstId]

    /** The id of an item, or null where there is no such item. */
    fun idOf(item: String): Int? {
        val rank = items.distinct.indexOf(item)
        return if (rank < 0) null else firstId + places[rank]
    }

    /** The ids of those of [wanted] that are in the vocabulary, in their order. */
    fun idsOf(wanted: List<String>): List<Int> = wanted.mapNotNull(::idOf)

    /** One detail of an id in [ids]; null where the vocabulary has none of that name. */
    fun detail(name: String, id: Int): String? = details[name]?.get(id - firstId)

    /** Reads all once: after it, no lookup can fail. */
    private fun check() {
        items.check()
        details.values.forEach { it.check() }
        var found = 0
        for (place in items.indices) {
            val rank = items.rank(place)
            if (rank == size) continue
            require(places[rank] == place) { "items and their places do not agree" }
            ++found
        }
        require(found == size) { "$size items at $found places" }
    }

    companion object {
        private const val MAGIC = 0x434f564d // "MVOC", little-endian
        private const val FORMAT_VERSION = 1
        private const val HEADER_BYTES = 64
        private const val COLUMN_BYTES = 12
        private const val SHARE = 2

        /**
         * Reads the member `vocabulary.bin`, which converters/VOCABULARY_FORMAT.md specifies.
         *
         * @param content its bytes, which must stay as they are
         * @throws IllegalArgumentException if they make no sense
         * @throws ModelFileException if they are of a later version
         */
        fun read(content: ByteBuffer): Vocabulary {
            val parts = Parts(content)
            val header = parts.take(HEADER_BYTES.toLong())
            require(header.getInt(0) == MAGIC) { "the vocabulary has another beginning" }
            requireVersion("vocabulary", FORMAT_VERSION, header.unsignedInt(4))
            val policy = header.unsigned(41)
            require(header.unsigned(40) <= 1 && policy <= SHARE && header.unsigned(42) <= 2) { "unknown settings" }
            val slots = header.unsignedInt(44)
            val countBytes = header.unsignedInt(56)
            val columns = header.unsignedInt(60)
            require(slots in 1..Int.MAX_VALUE - 2 && columns > 0) { "$slots places in $columns columns" }
            val records = parts.take(columns * COLUMN_BYTES)
            val named = List(columns.toInt()) {
                TextColumn.read(parts, slots.toInt(), freeIds = it == 0, records, it * COLUMN_BYTES)
            }
            val (name, items) = named.first()
            val details = named.drop(1).toMap()
            require(name.isEmpty() && details.size == named.size - 1) { "columns named ${named.map { it.first }}" }
            val places = parts.integers(items.distinct.size, items.size - 1)
            parts.take(countBytes)
            parts.finish()
            val fingerprint = (8 until 40).joinToString("") { "%02x".format(header.unsigned(it)) }
            val vocabulary = Vocabulary(items, places, details, if (policy == SHARE) 2 else 1, fingerprint)
            vocabulary.check()
            return vocabulary
        }
    }
}
