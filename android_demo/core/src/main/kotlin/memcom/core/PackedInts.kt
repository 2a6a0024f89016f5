package memcom.core

import java.nio.ByteBuffer

/**
 * Integers in the bytes of a file, each in as many bits as the largest may need, the lowest bits first.
 *
 * @property size how many there are
 * @property largest what none should exceed; bytes may say otherwise
 */
internal class PackedInts(private val bytes: ByteBuffer, val size: Int, val largest: Int) {
    private val width = widthOf(largest)
    private val mask = (1L shl width) - 1

    operator fun get(index: Int): Int {
        val bit = index.toLong() * width
        val start = (bit ushr 3).toInt()
        val shift = (bit and 7).toInt()
        var word = 0L
        for (place in 0..(shift + width - 1) / 8) {
            word = word or (bytes.unsigned(start + place).toLong() shl 8 * place)
        }
        return (word ushr shift and mask).toInt()
    }

    companion object {
        /** How many bytes [size] integers up to [largest] have. */
        fun bytesOf(size: Int, largest: Int): Long = (size.toLong() * widthOf(largest) + 7) / 8

        private fun widthOf(largest: Int) = maxOf(1, 32 - Integer.numberOfLeadingZeros(largest))
    }
}
