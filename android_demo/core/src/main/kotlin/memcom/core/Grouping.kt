package memcom.core

/**
 * What groups the items of a vocabulary: a detail of few values, of which an item may have several.
 *
 * @property name that of the detail, such as "genres"
 * @property values the values, sorted
 */
class Grouping private constructor(
    val name: String,
    val values: List<String>,
    private val column: TextColumn,
    private val vocabulary: Vocabulary,
) {
    /** The ids of the items that have a value. */
    fun ids(value: String): List<Int> {
        val fits = BooleanArray(column.distinct.size) { value in parts(column.distinct[it]) }
        return vocabulary.ids.filter { id ->
            val rank = column.rank(id - vocabulary.firstId)
            rank < fits.size && fits[rank] && !vocabulary.isHole(id)
        }
    }

    internal companion object {
        /** More values than that group nothing: they are years, names or the like. */
        const val MOST_VALUES = 100
        private const val SEPARATOR = '|'

        /** Those of [details] that group. */
        fun of(vocabulary: Vocabulary, details: Map<String, TextColumn>): List<Grouping> =
            details.mapNotNull { (name, column) -> valuesOf(column)?.let { Grouping(name, it, column, vocabulary) } }

        private fun valuesOf(column: TextColumn): List<String>? {
            val found = sortedSetOf<String>()
            for (text in column.distinct) {
                found += parts(text)
                if (found.size > MOST_VALUES) return null
            }
            return if (found.size > 1) found.toList() else null
        }

        private fun parts(text: String) = text.split(SEPARATOR).filter { it.isNotBlank() }
    }
}
