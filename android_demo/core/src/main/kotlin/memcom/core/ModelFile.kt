package memcom.core

import java.io.IOException
import java.io.Reader
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A file that `memcom convert` wrote of a ranker, used where it is: in memory or in a mapped file.
 *
 * @property graph the flatbuffer, for a TensorFlow Lite runtime
 * @property bytes size of the whole file
 * @property description what the converter wrote about it
 * @property vocabulary its items
 */
class ModelFile private constructor(
    val graph: ByteBuffer,
    val bytes: Int,
    val description: ModelDescription,
    val vocabulary: Vocabulary,
) {
    companion object {
        private const val IDENTIFIER = 0x334c4654 // "TFL3", little-endian

        /**
         * Reads and checks a file.
         *
         * @param content the bytes of the file from 0 to its limit; a direct buffer, if a runtime
         *   shall have [graph] without a copy
         * @throws ModelFileException if this is no whole, undamaged file of a ranker with a vocabulary
         */
        fun read(content: ByteBuffer): ModelFile {
            val head = content.duplicate().order(ByteOrder.LITTLE_ENDIAN)
            if (head.limit() < 8 || head.getInt(4) != IDENTIFIER) {
                throw ModelFileException(Problem.NOT_TFLITE, "The file must be a TensorFlow Lite file.")
            }
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

        private fun read(content: ByteBuffer, members: Members): ModelFile {
            val description = members["memcom.json"]?.let { ModelDescription.read(it.reader()) }
            val vocabulary = members["vocabulary.bin"]?.let { Vocabulary.read(it) }
            val graph = content.part(0, members.start).order(ByteOrder.nativeOrder())
            return checked(content, graph, description ?: throw noDescription(), vocabulary)
        }

        private fun checked(
            content: ByteBuffer,
            graph: ByteBuffer,
            description: ModelDescription,
            vocabulary: Vocabulary?,
        ): ModelFile {
            if (crc32(graph) != description.graphCrc32) throw damaged("the checksum of the graph differs")
            if (description.vocabularyFingerprint != vocabulary?.fingerprint) {
                throw damaged("the vocabulary is another one")
            }
            if (description.kind != "ranker") {
                throw ModelFileException(
                    Problem.NOT_A_RANKER,
                    "The file must hold a ranker. Received: kind=${description.kind}. " +
                        "Convert a memcom_tf.models.NextItemRanker.",
                )
            }
            if (vocabulary == null) {
                throw ModelFileException(
                    Problem.NO_VOCABULARY,
                    "The file must hold a vocabulary. Set `vocabulary` of the model before it is converted.",
                )
            }
            if (vocabulary.inputDim != description.inputDim) {
                throw damaged("${vocabulary.inputDim} ids for ${description.inputDim} rows")
            }
            return ModelFile(graph, content.limit(), description, vocabulary)
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
