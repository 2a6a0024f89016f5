package memcom.core

import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The zip archive at the end of a model file, whose members are stored: parts of the file as they are.
 *
 * `java.util.zip` reads an archive from a path, or copies; the file may lie inside an APK, where it
 * has no path, and its vocabulary is to be used where it is.
 */
internal class Members private constructor(
    private val content: ByteBuffer,
    private val entries: Map<String, Entry>,
) {
    /** Where the archive starts, which is where the flatbuffer ends. */
    val start: Int get() = entries.values.minOf { it.header }

    /**
     * The bytes of a member, or null where the archive has none of that name.
     *
     * @throws IOException if it is not stored, goes beyond the file, or its checksum differs
     */
    operator fun get(name: String): ByteBuffer? {
        val entry = entries[name] ?: return null
        val bytes = content.duplicate().order(ByteOrder.LITTLE_ENDIAN)
        val data = entry.header.toLong() + HEADER_BYTES
        if (data > bytes.limit() || bytes.getInt(entry.header) != HEADER) throw IOException("`$name` has no header")
        val start = data + bytes.unsignedShort(entry.header + 26) + bytes.unsignedShort(entry.header + 28)
        if (!entry.stored || start + entry.size > bytes.limit()) throw IOException("`$name` is not there as it was stored")
        val member = content.part(start.toInt(), (start + entry.size).toInt())
        if (crc32(member) != entry.crc32) throw IOException("the checksum of `$name` differs")
        return member
    }

    private class Entry(val header: Int, val size: Long, val crc32: Long, val stored: Boolean)

    companion object {
        private const val END = 0x06054b50
        private const val END_BYTES = 22
        private const val ENTRY = 0x02014b50
        private const val ENTRY_BYTES = 46
        private const val HEADER = 0x04034b50
        private const val HEADER_BYTES = 30

        /** The archive that ends where [content] ends, or null where there is none. */
        fun find(content: ByteBuffer): Members? {
            val bytes = content.duplicate().order(ByteOrder.LITTLE_ENDIAN)
            val end = bytes.limit() - END_BYTES
            if (end < 0 || bytes.getInt(end) != END) return null
            val entries = LinkedHashMap<String, Entry>()
            var at = bytes.getInt(end + 16)
            repeat(bytes.unsignedShort(end + 10)) {
                if (at < 0 || at > end - ENTRY_BYTES || bytes.getInt(at) != ENTRY) return null
                val size = bytes.unsignedInt(at + 24)
                val nameBytes = bytes.unsignedShort(at + 28)
                val header = bytes.getInt(at + 42)
                if (header < 0 || nameBytes > end - ENTRY_BYTES - at) return null
                val name = ByteArray(nameBytes) { bytes.get(at + ENTRY_BYTES + it) }.toString(Charsets.UTF_8)
                val stored = bytes.unsignedShort(at + 10) == 0 && bytes.unsignedInt(at + 20) == size
                entries[name] = Entry(header, size, bytes.unsignedInt(at + 16), stored)
                at += ENTRY_BYTES + nameBytes + bytes.unsignedShort(at + 30) + bytes.unsignedShort(at + 32)
            }
            return if (entries.isEmpty()) null else Members(content, entries)
        }
    }
}
