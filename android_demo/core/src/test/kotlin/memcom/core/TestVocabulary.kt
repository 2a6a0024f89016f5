package memcom.core

import java.io.ByteArrayOutputStream
import java.nio.ByteBuffer
import java.util.TreeSet

/** Writes vocabularies as memcom_tf does, of strings in their given order, shorter than 143 bytes and without counts. */
object TestVocabulary {
    fun of(items: List<String?>, details: Map<String, List<String>> = emptyMap(), firstId: Int = 1): Vocabulary =
        Vocabulary.read(ByteBuffer.wrap(bytes(items, details, firstId)))

    fun bytes(
        items: List<String?>,
        details: Map<String, List<String>> = emptyMap(),
        firstId: Int = 1,
        fingerprint: String = FINGERPRINT,
        version: Int = 1,
    ): ByteArray {
        val columns = listOf(Column("", items)) + details.map { (name, texts) -> Column(name, texts) }
        return Output().apply {
            write("MVOC".toByteArray())
            word(version)
            write(fingerprint.chunked(2).map { it.toInt(16).toByte() }.toByteArray())
            write(byteArrayOf(0, if (firstId == 2) 2 else 0, 0, 0))
            listOf(items.size, 0, 0, 0, columns.size).forEach(::word)
            columns.forEach { column -> column.record.forEach(::word) }
            columns.forEach { write(it.content) }
            write(columns[0].places)
        }.toByteArray()
    }

    private class Column(private val name: String, private val texts: List<String?>) {
        private val distinct = texts.filterNotNull().map { it.toByteArray() }.toCollection(TreeSet(::compare)).toList()
        private val rankOf = distinct.withIndex().associate { (rank, text) -> String(text) to rank }
        private val ranks = texts.map { text -> rankOf[text] ?: distinct.size }
        private val nameBytes = name.toByteArray()
        private val starts = ArrayList<Int>()
        private val blocks = Output().also { out ->
            var before = ByteArray(0)
            distinct.forEachIndexed { index, text ->
                if (index % 16 == 0) starts += out.size()
                val shared = if (index % 16 == 0) 0 else before.indices.takeWhile { it < text.size && text[it] == before[it] }.size
                val added = text.size - shared
                out.write(minOf(shared, 15) shl 4 or minOf(added, 15))
                listOf(shared, added).filter { it >= 15 }.forEach { out.write(it - 15) }
                out.write(text, shared, added)
                before = text
            }
        }.toByteArray()

        val record = listOf(nameBytes.size, distinct.size, blocks.size)
        val content get() = nameBytes + packed(starts, blocks.size) + blocks + packed(ranks, if (name.isEmpty()) distinct.size else distinct.size - 1)
        val places get() = packed(ranks.withIndex().filter { it.value < distinct.size }.sortedBy { it.value }.map { it.index }, texts.size - 1)
    }

    const val FINGERPRINT = "f00d00000000000000000000000000000000000000000000000000000000beef"

    private class Output : ByteArrayOutputStream() {
        fun word(value: Int) = repeat(4) { write(value ushr 8 * it) }
    }

    private fun packed(values: List<Int>, largest: Int): ByteArray {
        val width = maxOf(1, 32 - Integer.numberOfLeadingZeros(largest))
        val bits = values.flatMap { value -> List(width) { value ushr it and 1 } }
        return bits.chunked(8).map { byte -> byte.foldRightIndexed(0) { place, bit, sum -> sum or (bit shl place) }.toByte() }.toByteArray()
    }

    private fun compare(a: ByteArray, b: ByteArray): Int {
        val differing = a.indices.firstOrNull { it >= b.size || a[it] != b[it] } ?: return a.size - b.size
        return if (differing >= b.size) 1 else (a[differing].toInt() and 0xff) - (b[differing].toInt() and 0xff)
    }
}
