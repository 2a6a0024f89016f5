package memcom.core

import java.nio.ByteBuffer
import java.util.zip.CRC32

private const val CHUNK = 1 shl 16

/** The part of a buffer from [from] to [to], as a buffer of its own. */
internal fun ByteBuffer.part(from: Int, to: Int): ByteBuffer {
    val part = duplicate()
    part.limit(to)
    part.position(from)
    return part.slice()
}

internal fun ByteBuffer.unsigned(at: Int): Int = get(at).toInt() and 0xff

/** Two bytes at [at], of a buffer whose order is little-endian. */
internal fun ByteBuffer.unsignedShort(at: Int): Int = getShort(at).toInt() and 0xffff

/** Four bytes at [at], of a buffer whose order is little-endian. */
internal fun ByteBuffer.unsignedInt(at: Int): Long = getInt(at).toLong() and 0xffffffffL

/** The checksum of what is left of [bytes]. */
internal fun crc32(bytes: ByteBuffer): Long {
    // CRC32.update(ByteBuffer) is not there before Android 8.
    val rest = bytes.duplicate()
    val chunk = ByteArray(CHUNK)
    val checksum = CRC32()
    while (rest.hasRemaining()) {
        val count = minOf(CHUNK, rest.remaining())
        rest.get(chunk, 0, count)
        checksum.update(chunk, 0, count)
    }
    return checksum.value
}
