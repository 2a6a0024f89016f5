package memcom.core

/**
 * Texts in one array of bytes: a catalogue of a million titles as strings takes a phone's whole heap.
 *
 * Reading makes a new string each time.
 */
internal class CompactTexts private constructor(
    private val bytes: ByteArray,
    private val ends: IntArray,
) : AbstractList<String>(), RandomAccess {
    override val size get() = ends.size

    override fun get(index: Int): String {
        val start = if (index == 0) 0 else ends[index - 1]
        return String(bytes, start, ends[index] - start, Charsets.UTF_8)
    }

    /** Collects texts, in order. */
    class Builder {
        private var bytes = ByteArray(1 shl 12)
        private var ends = IntArray(1 shl 8)
        private var size = 0

        fun add(text: String) {
            val added = text.toByteArray(Charsets.UTF_8)
            val start = if (size == 0) 0 else ends[size - 1]
            while (start + added.size > bytes.size) bytes = bytes.copyOf(2 * bytes.size)
            if (size == ends.size) ends = ends.copyOf(2 * size)
            added.copyInto(bytes, start)
            ends[size++] = start + added.size
        }

        fun build() = CompactTexts(bytes.copyOf(if (size == 0) 0 else ends[size - 1]), ends.copyOf(size))
    }
}

/** What [text] makes of each of [texts], compactly. */
internal inline fun compactTexts(texts: List<String>, text: (String) -> String): List<String> {
    val builder = CompactTexts.Builder()
    for (each in texts) builder.add(text(each))
    return builder.build()
}
