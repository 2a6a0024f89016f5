package memcom.core

import com.google.gson.stream.JsonReader
import java.io.Reader

/**
 * What `memcom convert` wrote about a file.
 *
 * @property name the model's name
 * @property method the embedding's class, such as "MEmComEmbedding"
 * @property weights how tables are stored: "int8" and so on, or "mixed"
 * @property kind "ranker" for a file with the signatures `rank`, `score` and `embed`
 * @property signatures names of the functions
 * @property inputDim ids of the tables, the reserved ones included
 * @property outputDim width of a vector; 0 of a model that gives none
 * @property historyLength items of a history that the model sees; 0 where it takes none
 * @property listLength items that `rank` returns
 * @property modelVersion which of the files of the model's name it is, from 1 on; 0 where the file does not say
 * @property graphCrc32 checksum of the flatbuffer
 * @property vocabularyFingerprint the vocabulary that the model was trained with; null for none
 * @property fields those of the rows that the model takes; null of a model that takes others
 */
data class ModelDescription(
    val name: String,
    val method: String,
    val weights: String,
    val kind: String,
    val signatures: List<String>,
    val inputDim: Int,
    val outputDim: Int,
    val historyLength: Int,
    val listLength: Int,
    val modelVersion: Int,
    val graphCrc32: Long,
    val vocabularyFingerprint: String?,
    val fields: List<FieldDescription>?,
) {
    companion object {
        private const val FORMAT = "memcom_tf.model"
        private const val FORMAT_VERSION = 2

        // What is read, as `description.schema.json` of the converter specifies it.
        internal val FIELDS = listOf(
            "name", "kind", "signatures", "weights", "embeddings", "vocabulary_fingerprint", "graph_crc32",
        )
        internal val OPTIONAL_FIELDS = listOf("model_version")
        internal val RANKER_FIELDS = listOf("k", "history_length")
        internal val EMBEDDING_FIELDS = listOf("method", "input_dim", "output_dim")
        private const val LONGEST_HISTORY = 1L shl 20

        /** Reads the member `memcom.json`; what this version does not know is left out. */
        fun read(text: Reader): ModelDescription {
            val texts = HashMap<String, String?>()
            val signatures = ArrayList<String>()
            var embedding: Map<String, String?>? = null
            var fields: ArrayList<FieldDescription>? = null
            val json = JsonReader(text)
            json.forEachField { name ->
                when (name) {
                    "signatures" -> json.forEachElement { signatures += json.nextString() }
                    "embeddings" -> json.forEachElement {
                        val scalars = json.readScalars()
                        if (embedding == null) embedding = scalars // that of the history
                    }
                    "fields" -> fields = ArrayList<FieldDescription>().also { found ->
                        json.forEachElement { found += FieldDescription.of(json.readScalars()) }
                    }
                    "weights" -> texts[name] = json.nextScalar() ?: "mixed" // one for all, or by names
                    else -> texts[name] = json.nextScalar()
                }
            }
            requireFormat(FORMAT, FORMAT_VERSION, texts)
            val kind = texts.text("kind")
            val isRanker = kind == "ranker"
            val first = embedding.orEmpty()
            if (isRanker && first.isEmpty()) missing("embeddings")
            if ("vocabulary_fingerprint" !in texts) missing("vocabulary_fingerprint")
            return ModelDescription(
                name = texts.text("name"),
                method = if (isRanker) first.text("method") else first["method"].orEmpty(),
                weights = texts.text("weights"),
                kind = kind,
                signatures = signatures.ifEmpty { missing("signatures") },
                inputDim = if (isRanker) first.number("input_dim") else 0,
                outputDim = when {
                    isRanker -> first.number("output_dim")
                    "output_dim" in texts -> texts.number("output_dim")
                    else -> 0
                },
                historyLength = if (isRanker) texts.number("history_length", LONGEST_HISTORY, least = 0) else 0,
                listLength = if (isRanker) texts.number("k") else 0,
                modelVersion = if ("model_version" in texts) texts.number("model_version") else 0,
                graphCrc32 = texts.text("graph_crc32").toLong(),
                vocabularyFingerprint = texts["vocabulary_fingerprint"],
                fields = fields,
            )
        }
    }
}

/**
 * A field of the rows that a model takes, as the file describes it.
 *
 * @property name its name
 * @property length values of a row that are seen
 * @property separator what stands between several values in a text; null of one value
 * @property table the vocabulary that it has, by name; null of a field of numbers
 * @property inputDim ids of the vocabulary, or of n-grams
 * @property vocabularyFingerprint its fingerprint
 * @property holdsNgrams whether it is a text whose n-grams are hashed, without a vocabulary
 */
data class FieldDescription(
    val name: String,
    val length: Int,
    val separator: String?,
    val table: String?,
    val inputDim: Int,
    val vocabularyFingerprint: String?,
    val holdsNgrams: Boolean = false,
) {
    internal companion object {
        val FIELDS = listOf("name", "holds")
        val CATEGORY_FIELDS = listOf("table", "input_dim", "vocabulary_fingerprint")
        private const val MOST_VALUES = 1L shl 16
        private const val NGRAMS = "ngrams"

        fun of(texts: Map<String, String?>): FieldDescription {
            val holds = texts.text("holds")
            val holdsCategories = when (holds) {
                "categories" -> true
                "numbers", NGRAMS -> false
                "text" -> throw ModelFileException(
                    Problem.OTHER_MODEL,
                    "The file must hold a ranker or a model of rows. Received: a field of texts, of a classifier. " +
                        "Run it with memcom score.",
                )
                else -> throw IllegalArgumentException("its description has a field of $holds")
            }
            val separator = texts["separator"]
            require(separator != "") { "its description has a field without separator" }
            return FieldDescription(
                name = texts.text("name"),
                length = if ("length" in texts) texts.number("length", MOST_VALUES) else 1,
                separator = separator,
                table = if (holdsCategories) texts.text("table") else null,
                inputDim = when {
                    holdsCategories -> texts.number("input_dim", least = 2)
                    holds == NGRAMS -> texts.number("input_dim", least = 3)
                    else -> 0
                },
                vocabularyFingerprint = if (holdsCategories) texts.text("vocabulary_fingerprint") else null,
                holdsNgrams = holds == NGRAMS,
            )
        }
    }
}

private fun Map<String, String?>.text(name: String): String = get(name) ?: missing(name)

private fun Map<String, String?>.number(name: String, most: Long = Int.MAX_VALUE.toLong(), least: Long = 1): Int {
    val number = text(name).toLong()
    require(number in least..most) { "its description's $name must be from $least to $most, not $number" }
    return number.toInt()
}

private fun missing(name: String): Nothing = throw IllegalArgumentException("its description has no $name")

/** Refuses what another program, or another version of ours, wrote. */
private fun requireFormat(format: String, version: Int, fields: Map<String, String?>) {
    val found = fields["format"]
    if (found != format) {
        throw ModelFileException(
            Problem.NO_DESCRIPTION,
            "The file must be written by memcom convert. Received: format=$found.",
        )
    }
    requireVersion("file", version, fields["format_version"]?.toLongOrNull())
}

/** Refuses another version than [version] of [what]. */
internal fun requireVersion(what: String, version: Int, found: Long?) {
    if (found != version.toLong()) {
        throw ModelFileException(
            when {
                found == null || found < 1 -> Problem.DAMAGED
                found > version -> Problem.LATER_VERSION
                else -> Problem.EARLIER_VERSION
            },
            "The $what must have format version $version. Received: format_version=$found. " +
                "Update the app, or convert the model again.",
        )
    }
}
