package memcom.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The texts of a vocabulary under one name, one for each of its places.
 *
 * @property distinct the different ones
 */
class TextColumn internal constructor(
    internal val distinct: SortedTexts,
    private val ranks: PackedInts,
) : AbstractList<String>(), RandomAccess {
    override val size: Int get() = ranks.size

    /** Which of [distinct] is at a place; their number for none, which reads as "". */
    fun rank(index: Int): Int = ranks[index]

    override fun get(index: Int): String {
        if (index !in indices) throw IndexOutOfBoundsException("$index of $size")
        val rank = ranks[index]
        return if (rank == distinct.size) "" else distinct[rank]
    }

    /** Reads all once: after it, no lookup can fail. */
    internal fun check() {
        distinct.check()
        for (place in indices) require(ranks[place] <= ranks.largest) { "text ${ranks[place]} of ${distinct.size}" }
    }

    companion object {
        /** The next column, whose record is at [at] in [records], and its name. */
        internal fun read(parts: Parts, places: Int, freeIds: Boolean, records: ByteBuffer, at: Int): Pair<String, TextColumn> {
            val nameBytes = records.unsignedInt(at)
            val texts = records.unsignedInt(at + 4)
            val textBytes = records.unsignedInt(at + 8)
            require(texts in 1..places && textBytes <= Int.MAX_VALUE) { "$texts texts of $textBytes bytes at $places places" }
            val name = parts.take(nameBytes).let { bytes -> ByteArray(bytes.limit()).also { bytes.get(it) } }
            val starts = parts.integers((texts.toInt() - 1) / SortedTexts.BLOCK + 1, textBytes.toInt())
            val distinct = SortedTexts(texts.toInt(), starts, parts.take(textBytes))
            val ranks = parts.integers(places, if (freeIds) distinct.size else distinct.size - 1)
            return Pair(String(name, Charsets.UTF_8), TextColumn(distinct, ranks))
        }
    }
}

/** Hands out one part of the bytes after the other. */
internal class Parts(private val content: ByteBuffer) {
    private var position = 0

    fun take(size: Long): ByteBuffer {
        require(size <= content.limit() - position) { "the vocabulary ends too early" }
        val from = position
        position += size.toInt()
        return content.part(from, position).order(ByteOrder.LITTLE_ENDIAN)
    }

    /** The next [size] integers up to [largest]. */
    fun integers(size: Int, largest: Int) = PackedInts(take(PackedInts.bytesOf(size, largest)), size, largest)

    fun finish() = require(position == content.limit()) { "bytes are left over behind the vocabulary" }
}
