package memcom.core

import java.text.Normalizer

/**
 * Texts as words and as n-grams, by the rules of converters/VOCABULARY_FORMAT.md.
 *
 * Of a text without end no more is read than is asked for.
 */
internal object Ngrams {
    private const val OFFSET = 2166136261L
    private const val PRIME = 16777619L
    private const val MASK = 0xffffffffL
    private val SIZES = 3..5

    /** Scripts that are written without blanks, by first and last letters. */
    private val UNSPACED = listOf(
        0x0e00..0x0eff, 0x1000..0x109f, 0x1780..0x17ff, 0x3005..0x3007, 0x3040..0x30ff,
        0x3400..0x4dbf, 0x4e00..0x9fff, 0xac00..0xd7af, 0x20000..0x3ffff,
    )
    private val OF_WORDS = setOf(
        Character.UPPERCASE_LETTER, Character.LOWERCASE_LETTER, Character.TITLECASE_LETTER, Character.MODIFIER_LETTER,
        Character.OTHER_LETTER, Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK,
        Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER,
    ).map { it.toInt() }.toSet()

    /** The first [most] words of a text, in their order, as code points. */
    fun words(text: String, most: Int = Int.MAX_VALUE): List<IntArray> {
        val letters = codePoints(Normalizer.normalize(text, Normalizer.Form.NFKC).lowercase())
        val found = ArrayList<IntArray>()
        var start = 0
        while (start < letters.size && found.size < most) {
            if (!isOfWords(letters[start])) {
                ++start
                continue
            }
            val unspaced = isUnspaced(letters[start])
            var end = start + 1
            while (end < letters.size && isOfWords(letters[end]) && isUnspaced(letters[end]) == unspaced) ++end
            if (unspaced) {
                for (place in start until end) {
                    if (found.size >= most) break
                    found += intArrayOf(letters[place])
                    if (place + 1 < end) found += intArrayOf(letters[place], letters[place + 1])
                }
            } else {
                found += letters.copyOfRange(start, end)
            }
            start = end
        }
        return if (found.size > most) found.subList(0, most) else found
    }

    /** The first [most] n-grams of a text, in their order; each word has one at least. */
    fun of(text: String, most: Int): List<String> {
        val found = ArrayList<String>()
        for (word in words(text, most)) {
            val letters = intArrayOf('<'.code) + word + '>'.code
            for (start in 0..letters.size - SIZES.first) {
                for (size in SIZES) if (start + size <= letters.size) found += String(letters, start, size)
                if (found.size >= most) return found.subList(0, most)
            }
            if (letters.size > SIZES.last) found += String(letters, 0, letters.size)
            if (found.size >= most) return found.subList(0, most)
        }
        return found
    }

    /** FNV-1a of 32 bits of the UTF-8 bytes of a text. */
    fun hash(text: String): Long =
        text.toByteArray(Charsets.UTF_8).fold(OFFSET) { hash, byte -> (hash xor (byte.toLong() and 0xff)) * PRIME and MASK }

    private fun isOfWords(letter: Int) = Character.getType(letter) in OF_WORDS

    private fun isUnspaced(letter: Int) = UNSPACED.any { letter in it }

    private fun codePoints(text: String): IntArray {
        val found = IntArray(text.codePointCount(0, text.length))
        var at = 0
        for (place in found.indices) {
            found[place] = text.codePointAt(at)
            at += Character.charCount(found[place])
        }
        return found
    }
}

/**
 * A field of texts whose n-grams are hashed.
 *
 * @property name its name
 * @property length how many n-grams of a text are seen
 * @property numBuckets how many ids n-grams may have
 */
class NgramField internal constructor(val name: String, val length: Int, val numBuckets: Int) {
    /** The ids of a text, of its first n-grams, then zeros; null is a missing text. */
    fun encode(text: String?): IntArray {
        val ids = IntArray(length)
        Ngrams.of(text.orEmpty(), length).forEachIndexed { place, ngram ->
            ids[place] = (FIRST_ID + Ngrams.hash(ngram) % numBuckets).toInt()
        }
        return ids
    }

    internal companion object {
        const val FIRST_ID = 2
    }
}
