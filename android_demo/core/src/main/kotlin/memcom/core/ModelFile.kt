package memcom.core

import java.io.IOException
import java.io.Reader
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A file that `memcom convert` wrote, used where it is: in memory or in a mapped file.
 *
 * @property graph the flatbuffer, for a TensorFlow Lite runtime
 * @property bytes size of the whole file
 * @property description what the converter wrote about it
 */
sealed class ModelFile(val graph: ByteBuffer, val bytes: Int, val description: ModelDescription) {
    /**
     * This file, as that of a ranker.
     *
     * @throws ModelFileException if it is another model's
     */
    fun ranker(): RankerFile = this as? RankerFile ?: throw ModelFileException(
        Problem.NOT_A_RANKER,
        "The file must hold a ranker. Received: kind=${description.kind}. Convert a memcom_tf.models.NextItemRanker.",
    )

    /**
     * Requires that this file may take the place of [other]: where both are of one model, it is no older.
     *
     * A file that does not say its version is older than one that does.
     *
     * @throws ModelFileException if it is older
     */
    fun requireNoOlderThan(other: ModelDescription) {
        if (description.name != other.name || description.kind != other.kind) return
        if (description.modelVersion >= other.modelVersion) return
        throw ModelFileException(
            Problem.OLDER_MODEL,
            "The file must hold version ${other.modelVersion} of ${other.name} or a later one. " +
                "Received: model_version=${description.modelVersion}. Choose a later file.",
            named = other.modelVersion.toString(),
        )
    }

    companion object {
        private const val IDENTIFIER = 0x334c4654 // "TFL3", little-endian

        /**
         * Reads and checks a file.
         *
         * @param content the bytes of the file from 0 to its limit; a direct buffer, if a runtime
         *   shall have [graph] without a copy
         * @throws ModelFileException if this is no whole, undamaged file of a ranker with a vocabulary,
         *   of a model of rows or of one of vectors of texts
         */
        fun read(content: ByteBuffer): ModelFile {
            requireTflite(content)
            val members = Members.find(content) ?: throw noDescription()
            return try {
                read(content, members)
            } catch (error: IOException) {
                throw damaged(error.message, error)
            } catch (error: IllegalStateException) { // JSON of another structure
                throw damaged(error.message, error)
            } catch (error: IllegalArgumentException) { // numbers and sizes that are none
                throw damaged(error.message, error)
            }
        }

        /** How many bytes tell a TensorFlow Lite file from others. */
        const val HEAD_BYTES = 8

        /**
         * Requires the beginning of a TensorFlow Lite file, which can be seen before the rest is there.
         *
         * @param head the first [HEAD_BYTES], or more
         * @throws ModelFileException if it is another file's, or too short
         */
        fun requireTflite(head: ByteBuffer) {
            if (head.limit() < HEAD_BYTES || head.duplicate().order(ByteOrder.LITTLE_ENDIAN).getInt(4) != IDENTIFIER) {
                throw ModelFileException(Problem.NOT_TFLITE, "The file must be a TensorFlow Lite file.")
            }
        }

        private fun read(content: ByteBuffer, members: Members): ModelFile {
            val description = members["memcom.json"]?.let { ModelDescription.read(it.reader()) } ?: throw noDescription()
            val vocabulary = members["vocabulary.bin"]?.let { Vocabulary.read(it) }
            val graph = content.part(0, members.start).order(ByteOrder.nativeOrder())
            if (crc32(graph) != description.graphCrc32) throw damaged("the checksum of the graph differs")
            if (description.vocabularyFingerprint != vocabulary?.fingerprint) {
                throw damaged("the vocabulary is another one")
            }
            val texts = description.fields?.find { it.holdsNgrams }
            if (texts != null) return textVectors(content, graph, description, texts, members["fields.bin"])
            val fields = description.fields?.let { Fields.read(it, members["fields.bin"]) }
            return when {
                description.kind == "ranker" -> ranker(content, graph, description, vocabulary, fields)
                fields != null -> ScorerFile(graph, content.limit(), description, fields)
                else -> throw ModelFileException(
                    Problem.OTHER_MODEL,
                    "The file must hold a ranker or a model of rows. Received: kind=${description.kind}. " +
                        "Convert a memcom_tf.models.NextItemRanker or a ClickModel.",
                )
            }
        }

        private fun textVectors(
            content: ByteBuffer,
            graph: ByteBuffer,
            description: ModelDescription,
            texts: FieldDescription,
            vocabularies: ByteBuffer?,
        ): TextVectorsFile {
            if (description.kind == "ranker" || description.fields?.size != 1 || description.outputDim == 0) {
                throw ModelFileException(
                    Problem.OTHER_MODEL,
                    "The file must hold a ranker or a model of rows. Received: n-grams of texts beside others. " +
                        "Run it from Python.",
                )
            }
            if (vocabularies != null) throw damaged("n-grams have no vocabulary")
            val field = NgramField(texts.name, texts.length, texts.inputDim - NgramField.FIRST_ID)
            return TextVectorsFile(graph, content.limit(), description, field)
        }

        private fun ranker(
            content: ByteBuffer,
            graph: ByteBuffer,
            description: ModelDescription,
            vocabulary: Vocabulary?,
            fields: Fields?,
        ): RankerFile {
            if (vocabulary == null) {
                throw ModelFileException(
                    Problem.NO_VOCABULARY,
                    "The file must hold a vocabulary. Set `vocabulary` of the model before it is converted.",
                )
            }
            if (vocabulary.inputDim != description.inputDim) {
                throw damaged("${vocabulary.inputDim} ids for ${description.inputDim} rows")
            }
            return RankerFile(graph, content.limit(), description, vocabulary, fields)
        }

        private fun ByteBuffer.reader(): Reader = ByteArray(remaining()).also { duplicate().get(it) }.inputStream().reader()

        private fun noDescription() = ModelFileException(
            Problem.NO_DESCRIPTION,
            "The file must be whole and written by memcom convert: its description is missing. " +
                "Convert the model again, or copy the file again.",
        )

        private fun damaged(reason: String?, cause: Throwable? = null) = ModelFileException(
            Problem.DAMAGED,
            "The file must be undamaged: $reason. Convert the model again, or copy the file again.",
            cause,
        )
    }
}

/**
 * A ranker's file.
 *
 * @property vocabulary its items
 * @property fields what its query takes beside a history; null where that is all
 */
class RankerFile internal constructor(
    graph: ByteBuffer,
    bytes: Int,
    description: ModelDescription,
    val vocabulary: Vocabulary,
    val fields: Fields?,
) : ModelFile(graph, bytes, description) {
    /**
     * A query as the model takes it.
     *
     * @param history ids in order of time, of which the most recent are seen
     * @param row values by field, as [Fields.encode] takes them
     * @throws IllegalArgumentException if ids are not in the catalogue, or the file takes no such history or row
     */
    fun query(history: List<Int> = emptyList(), row: Map<String, Any?> = emptyMap()): Query {
        val length = description.historyLength
        require(length > 0 || history.isEmpty()) {
            "`history` must be left out: the file takes none. Received: history=$history."
        }
        requireItems(history)
        return Query(History(history.filter { it != 0 }).row(length), encoded(row))
    }

    private fun encoded(row: Map<String, Any?>): RowInputs {
        require(fields != null || row.isEmpty()) {
            "The file must hold a model of rows of fields. Received: kind='ranker'. Convert a memcom_tf.models.ClickModel."
        }
        if (fields == null) return RowInputs(IntArray(0), FloatArray(0))
        val names = fields.map { it.name }
        val unknown = (row.keys - names.toSet()).sorted()
        require(unknown.isEmpty()) {
            "Fields must be among ${names.joinToString()}. Received: fields=${unknown.map { "'$it'" }}."
        }
        return fields.encode(row)
    }

    /** Requires ids of items, or reserved ones. */
    internal fun requireItems(ids: Collection<Int>) {
        val items = description.inputDim
        val outside = ids.find { it !in 0 until items || it >= vocabulary.firstId && vocabulary.isHole(it) } ?: return
        throw IllegalArgumentException(
            "Ids must be in [0, $items), and ids of items in the vocabulary. Received: id=$outside. " +
                "Map items to ids with the file's `vocabulary`.",
        )
    }
}

/**
 * The file of a model of rows, such as a click model.
 *
 * @property fields those of a row
 */
class ScorerFile internal constructor(
    graph: ByteBuffer,
    bytes: Int,
    description: ModelDescription,
    val fields: Fields,
) : ModelFile(graph, bytes, description)

/**
 * The file of a model that gives the vectors of texts, such as titles of new items.
 *
 * @property texts how a text becomes what the model takes
 */
class TextVectorsFile internal constructor(
    graph: ByteBuffer,
    bytes: Int,
    description: ModelDescription,
    val texts: NgramField,
) : ModelFile(graph, bytes, description)
