package memcom.core

import java.io.ByteArrayOutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream

/** A model file as `memcom convert` lays it out, of parts that a test can change. */
class TestFile(
    var graph: ByteArray = byteArrayOf(28, 0, 0, 0) + "TFL3".toByteArray() + ByteArray(100) { it.toByte() },
    var description: String = DESCRIPTION,
    var vocabulary: ByteArray? = vocabulary(),
    var fields: ByteArray? = null,
) {
    fun bytes(): ByteArray {
        val crc32 = CRC32().apply { update(graph) }.value
        val members = listOfNotNull(
            "memcom.json" to description.replace("CRC32", crc32.toString()).toByteArray(),
            vocabulary?.let { "vocabulary.bin" to it },
            fields?.let { "fields.bin" to it },
        )
        val archive = zip(members)
        return graph + shifted(archive, graph.size)
    }

    fun read() = ModelFile.read(ByteBuffer.wrap(bytes()))

    fun ranker() = read().ranker()

    companion object {
        const val DESCRIPTION = """{"format": "memcom_tf.model", "format_version": 2, "name": "films", "kind": "ranker",
            "signatures": ["rank", "score", "embed"], "weights": "int8", "k": 2, "history_length": 3, "unknown": {"a": [1]},
            "embeddings": [{"method": "MEmComEmbedding", "input_dim": 4, "output_dim": 2, "tables": [{"rows": 9}]}],
            "vocabulary_fingerprint": "${TestVocabulary.FINGERPRINT}", "graph_crc32": CRC32}"""
        private val DETAILS = mapOf(
            "title" to listOf("Star Wars (1977)", "Twelve Monkeys (1995)", "Amélie (2001)"),
            "genres" to listOf("Action|Sci-Fi", "Drama", ""),
        )

        /** A file of a model of rows, whose `fields` and `fields.bin` are such. */
        fun ofRows(fields: String, content: ByteArray?, kind: String = "model") = TestFile(
            description = """{"format": "memcom_tf.model", "format_version": 2, "name": "clicks", "kind": "$kind",
                "signatures": ["serving_default"], "weights": "int8", "embeddings": [], "fields": $fields,
                "vocabulary_fingerprint": null, "graph_crc32": CRC32}""",
            vocabulary = null,
            fields = content,
        )

        fun vocabulary(firstId: Int = 1, fingerprint: String = TestVocabulary.FINGERPRINT, version: Int = 1) =
            TestVocabulary.bytes(listOf("50", "7", "12"), DETAILS, firstId, fingerprint, version)

        private fun zip(members: List<Pair<String, ByteArray>>): ByteArray {
            val bytes = ByteArrayOutputStream()
            ZipOutputStream(bytes).use { zip ->
                for ((name, content) in members) {
                    val entry = ZipEntry(name)
                    entry.method = ZipEntry.STORED
                    entry.size = content.size.toLong()
                    entry.crc = CRC32().apply { update(content) }.value
                    zip.putNextEntry(entry)
                    zip.write(content)
                    zip.closeEntry()
                }
            }
            return bytes.toByteArray()
        }

        /** Python counts offsets from the start of the file, Java from that of the archive. */
        private fun shifted(archive: ByteArray, by: Int): ByteArray {
            val bytes = ByteBuffer.wrap(archive).order(ByteOrder.LITTLE_ENDIAN)
            val end = archive.size - 22
            var entry = bytes.getInt(end + 16)
            repeat(bytes.getShort(end + 10).toInt()) {
                bytes.putInt(entry + 42, bytes.getInt(entry + 42) + by)
                entry += 46 + bytes.getShort(entry + 28) + bytes.getShort(entry + 30) + bytes.getShort(entry + 32)
            }
            bytes.putInt(end + 16, bytes.getInt(end + 16) + by)
            return archive
        }
    }
}
