package memcom.core

import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.ZipInputStream

/**
 * The zip archive at the end of a model file.
 *
 * `java.util.zip` reads an archive from a path or from its start. The file may lie inside an APK,
 * where it has no path, so the start is looked up in the archive's directory; the rest is Java's.
 */
internal class Members private constructor(
    private val content: ByteBuffer,
    /** Where the archive starts, which is where the flatbuffer ends. */
    val start: Int,
) {
    /** Hands every member to [read], in the order of the file; checksums are checked on the way. */
    fun forEach(read: (name: String, member: InputStream) -> Unit) {
        ZipInputStream(ByteBufferInputStream(content.part(start, content.limit()))).use { zip ->
            while (true) {
                val entry = zip.nextEntry ?: break
                read(entry.name, zip)
                zip.closeEntry() // reads what is left, and so compares the checksum
            }
        }
    }

    companion object {
        private const val END = 0x06054b50
        private const val END_BYTES = 22
        private const val ENTRY = 0x02014b50
        private const val ENTRY_BYTES = 46

        /** The archive that ends where [content] ends, or null where there is none. */
        fun find(content: ByteBuffer): Members? {
            val bytes = content.duplicate().order(ByteOrder.LITTLE_ENDIAN)
            val end = bytes.limit() - END_BYTES
            if (end < 0 || bytes.getInt(end) != END) return null
            val entries = bytes.getShort(end + 10).toInt() and 0xffff
            var at = bytes.getInt(end + 16)
            var start = at
            repeat(entries) {
                if (at < 0 || at > end - ENTRY_BYTES || bytes.getInt(at) != ENTRY) return null
                start = minOf(start, bytes.getInt(at + 42))
                at += ENTRY_BYTES + (28..32 step 2).sumOf { bytes.getShort(at + it).toInt() and 0xffff }
            }
            return if (entries > 0 && start >= 0) Members(content, start) else null
        }
    }
}

/** The part of a buffer from [from] to [to], as a buffer of its own. */
internal fun ByteBuffer.part(from: Int, to: Int): ByteBuffer {
    val part = duplicate()
    part.limit(to)
    part.position(from)
    return part.slice()
}

private class ByteBufferInputStream(private val bytes: ByteBuffer) : InputStream() {
    override fun available() = bytes.remaining()

    override fun read() = if (bytes.hasRemaining()) bytes.get().toInt() and 0xff else -1

    override fun read(into: ByteArray, offset: Int, length: Int): Int {
        if (length == 0) return 0
        if (!bytes.hasRemaining()) return -1
        val count = minOf(length, bytes.remaining())
        bytes.get(into, offset, count)
        return count
    }
}
