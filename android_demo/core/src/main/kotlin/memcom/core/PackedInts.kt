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
    private val mask = (1 shl width) - 1

    // In steps of bytes: shifts of longs were translated wrongly on the way through dex.
    operator fun get(index: Int): Int {
        val bit = index.toLong() * width
        var at = (bit ushr 3).toInt()
        val skipped = (bit and 7).toInt()
        var value = bytes.unsigned(at) ushr skipped
        var known = 8 - skipped
        while (known < width) {
            at += 1
            value = value or (bytes.unsigned(at) shl known)
            known += 8
        }
        return value and mask
    }

    companion object {
        /** How many bytes [size] integers up to [largest] have. */
        fun bytesOf(size: Int, largest: Int): Long = (size.toLong() * widthOf(largest) + 7) / 8

        private fun widthOf(largest: Int) = maxOf(1, 32 - Integer.numberOfLeadingZeros(largest))
    }
}
