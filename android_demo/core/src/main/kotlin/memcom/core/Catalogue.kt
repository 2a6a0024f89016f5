package memcom.core

import java.text.Normalizer
import java.util.Locale

/**
 * An item as people see it.
 *
 * @property id what the model calls it
 * @property title what people call it
 * @property caption what else is known of it, such as genres; "" for nothing
 */
data class Item(val id: Int, val title: String, val caption: String)

/**
 * The items of a vocabulary, with titles to show and to search.
 *
 * The title is the detail "title", or what the data set calls the item where there is none; the
 * caption is made of the other details.
 */
class Catalogue(private val vocabulary: Vocabulary) {
    private val titles = vocabulary.details[TITLE] ?: vocabulary.items
    private val captions = vocabulary.details.filterKeys { it != TITLE }.values.toList()
    private val foldedTitles: List<String> by lazy { compactTexts(titles.distinct) { fold(it) } }

    val size: Int get() = vocabulary.size

    /** What groups the items: details of few values, such as genres. */
    val groupings: List<Grouping> by lazy { Grouping.of(vocabulary, vocabulary.details - TITLE) }

    /** The ids of all items. */
    val ids: List<Int> get() = vocabulary.ids.filterNot(vocabulary::isHole)

    /** The item of an id of the vocabulary. */
    operator fun get(id: Int): Item = Item(id, title(id), caption(id))

    /**
     * Finds items by their titles, case and accents aside.
     *
     * @param query words; each must start a word of the title, or failing that be a part of it.
     *   Without words every item is found
     * @param limit how many to return at most
     * @return first the titles that start with the query, then those with words that start with
     *   its words, then the rest; the order of ids, which is that of popularity, decides ties
     */
    fun search(query: String, limit: Int): List<Item> {
        val wanted = fold(query).trim()
        val words = wanted.split(' ').filter { it.isNotEmpty() }
        if (words.isEmpty()) {
            return vocabulary.ids.asSequence().filterNot(vocabulary::isHole).take(limit).map { get(it) }.toList()
        }
        val found = Array(3) { ArrayList<Int>() }
        for (index in titles.indices) {
            val title = folded(index)
            val tier = when {
                title.startsWith(wanted) -> 0
                words.all { startsWord(title, it) } -> 1
                words.all { it in title } -> 2
                else -> continue
            }
            if (found[tier].size < limit) found[tier] += vocabulary.firstId + index
        }
        return found.flatMap { it }.take(limit).map { get(it) }
    }

    private fun title(id: Int): String = titles[id - vocabulary.firstId].ifEmpty { vocabulary.item(id) }

    private fun folded(index: Int): String {
        val rank = titles.rank(index)
        val title = if (rank == titles.distinct.size) "" else foldedTitles[rank]
        return title.ifEmpty { fold(vocabulary.items[index]) }
    }

    private fun caption(id: Int): String = captions
        .flatMap { it[id - vocabulary.firstId].split('|') }
        .filter { it.isNotBlank() }
        .joinToString(" · ")

    private companion object {
        const val TITLE = "title"
        val MARKS = Regex("\\p{Mn}+")

        fun fold(text: String): String =
            Normalizer.normalize(text, Normalizer.Form.NFD).replace(MARKS, "").lowercase(Locale.ROOT)

        fun startsWord(title: String, word: String): Boolean {
            var at = title.indexOf(word)
            while (at > 0 && title[at - 1].isLetterOrDigit()) at = title.indexOf(word, at + 1)
            return at >= 0
        }
    }
}
