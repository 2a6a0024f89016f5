package memcom.core

import java.nio.ByteBuffer

/**
 * Distinct texts in the order of their bytes, in the bytes of a file: each stores only what the one
 * before it lacks, and the first of every [BLOCK] is whole.
 *
 * Reading makes a new string each time; only what is near it is read.
 */
internal class SortedTexts(
    override val size: Int,
    private val starts: PackedInts,
    private val blocks: ByteBuffer,
) : AbstractList<String>(), RandomAccess {
    override fun get(index: Int): String {
        if (index !in indices) throw IndexOutOfBoundsException("$index of $size")
        val cursor = Cursor(index / BLOCK)
        repeat(index % BLOCK + 1) { cursor.next() }
        return cursor.toString()
    }

    override fun iterator(): Iterator<String> = object : AbstractIterator<String>() {
        private var rank = 0
        private lateinit var cursor: Cursor

        override fun computeNext() {
            if (rank == this@SortedTexts.size) return done()
            if (rank % BLOCK == 0) cursor = Cursor(rank / BLOCK)
            ++rank
            setNext(cursor.next().toString())
        }
    }

    /** The place of a text among all, or -1. */
    override fun indexOf(element: String): Int {
        val wanted = element.toByteArray(Charsets.UTF_8)
        var low = 0
        var high = starts.size
        while (low < high) { // the first block that starts behind the text
            val middle = (low + high) ushr 1
            if (Cursor(middle).next().compareTo(wanted) <= 0) low = middle + 1 else high = middle
        }
        if (low == 0) return -1
        val first = (low - 1) * BLOCK
        val cursor = Cursor(low - 1)
        for (index in first until first + sizeOf(low - 1)) {
            if (cursor.next().compareTo(wanted) == 0) return index
        }
        return -1
    }

    override fun lastIndexOf(element: String): Int = indexOf(element)

    override fun contains(element: String): Boolean = indexOf(element) >= 0

    /** Reads all texts once, so that reading fails here or never. */
    fun check() {
        var last: Cursor? = null
        for (block in 0 until starts.size) {
            val cursor = Cursor(block)
            require(cursor.position == (last?.position ?: 0)) { "a block of texts does not start where the last ended" }
            cursor.next()
            require(last == null || last < cursor) { "texts do not rise" }
            repeat(sizeOf(block) - 1) {
                cursor.next()
                require(cursor.rises) { "texts do not rise" }
            }
            last = cursor
        }
        require(last == null || last.position == blocks.limit()) { "bytes are left over behind the texts" }
    }

    private fun sizeOf(block: Int) = minOf(BLOCK, size - block * BLOCK)

    /** Reads one text of a block after the other. */
    private inner class Cursor(block: Int) {
        var position = starts[block]
            private set
        private val end = if (block + 1 < starts.size) starts[block + 1] else blocks.limit()
        private val bytes = blocks.duplicate()
        private var text = ByteArray(FIRST_BYTES)
        private var length = 0

        /** Whether the text is behind the one before it, of which it shares as much as it can. */
        var rises = false
            private set

        init {
            require(end <= blocks.limit()) { "a block of texts ends behind them" }
        }

        fun next(): Cursor {
            val head = byte()
            val shared = (head ushr 4) + more(head ushr 4)
            val added = (head and LONG) + more(head and LONG)
            require(shared <= length && added <= end - position) { "a text does not end in its block" }
            rises = added > 0 && (shared == length.toLong() || bytes.unsigned(position) > text[shared.toInt()].unsigned())
            length = (shared + added).toInt()
            if (length > text.size) text = text.copyOf(maxOf(length, 2 * text.size))
            bytes.position(position)
            bytes.get(text, shared.toInt(), added.toInt())
            position += added.toInt()
            return this
        }

        operator fun compareTo(other: ByteArray): Int = compare(text, length, other, other.size)

        operator fun compareTo(other: Cursor): Int = compare(text, length, other.text, other.length)

        override fun toString() = String(text, 0, length, Charsets.UTF_8)

        private fun more(half: Int): Long {
            if (half < LONG) return 0
            var value = 0L
            for (shift in 0 until 63 step 7) {
                val group = byte()
                value = value or ((group and 0x7f).toLong() shl shift)
                if (group < 0x80) return minOf(value, Int.MAX_VALUE.toLong())
            }
            throw IllegalArgumentException("a number has no end")
        }

        private fun byte(): Int {
            require(position < end) { "a block ends before its texts" }
            return bytes.unsigned(position++)
        }
    }

    companion object {
        const val BLOCK = 16
        private const val LONG = 15
        private const val FIRST_BYTES = 64

        /** As unsigned bytes, a text before those that it starts. */
        private fun compare(a: ByteArray, aSize: Int, b: ByteArray, bSize: Int): Int {
            for (i in 0 until minOf(aSize, bSize)) {
                val difference = a[i].unsigned() - b[i].unsigned()
                if (difference != 0) return difference
            }
            return aSize - bSize
        }

        private fun Byte.unsigned(): Int = toInt() and 0xff
    }
}
