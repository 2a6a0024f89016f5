package memcom.core

import com.google.gson.stream.JsonReader
import java.io.Reader

/**
 * What `memcom convert` wrote about a file.
 *
 * @property name the model's name
 * @property method the embedding's class, such as "MEmComEmbedding"
 * @property weights how tables are stored: "int8" or "float32"
 * @property kind "ranker" for a file with the signatures `rank`, `score` and `embed`
 * @property signatures names of the functions
 * @property inputDim ids of the tables, the reserved ones included
 * @property outputDim width of a vector
 * @property historyLength items of a history that the model sees
 * @property listLength items that `rank` returns
 * @property graphCrc32 checksum of the flatbuffer
 * @property vocabularyFingerprint the vocabulary that the model was trained with; null for none
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
    val graphCrc32: Long,
    val vocabularyFingerprint: String?,
) {
    companion object {
        private const val FORMAT = "memcom_tf.model"
        private const val FORMAT_VERSION = 2

        /** Reads the member `memcom.json`; what this version does not know is left out. */
        fun read(text: Reader): ModelDescription {
            val texts = HashMap<String, String?>()
            val signatures = ArrayList<String>()
            var embedding = emptyMap<String, String?>()
            val json = JsonReader(text)
            json.forEachField { name ->
                when (name) {
                    "signatures" -> json.forEachElement { signatures += json.nextString() }
                    "embeddings" -> json.forEachElement {
                        val fields = json.readScalars()
                        if (embedding.isEmpty()) embedding = fields // that of the history
                    }
                    else -> texts[name] = json.nextScalar()
                }
            }
            requireFormat(FORMAT, FORMAT_VERSION, texts)
            return ModelDescription(
                name = texts["name"].orEmpty(),
                method = embedding["method"].orEmpty(),
                weights = texts["weights"].orEmpty(),
                kind = texts["kind"].orEmpty(),
                signatures = signatures,
                inputDim = embedding.number("input_dim").toInt(),
                outputDim = embedding.number("output_dim").toInt(),
                historyLength = texts.number("history_length").toInt(),
                listLength = texts.number("k").toInt(),
                graphCrc32 = texts.number("graph_crc32"),
                vocabularyFingerprint = texts["vocabulary_fingerprint"],
            )
        }

        private fun Map<String, String?>.number(name: String): Long = get(name)?.toLong() ?: 0
    }
}

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
            if (found != null && found > version) Problem.LATER_VERSION else Problem.DAMAGED,
            "The $what must have format version $version. Received: format_version=$found. " +
                "Update the app, or convert the model again.",
        )
    }
}
