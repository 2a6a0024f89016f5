package memcom.core

/**
 * A row of a ranked list.
 *
 * @property item what is recommended
 * @property score as the model gave it
 * @property likelihood relative to the first row, in [0, 1]
 * @property reasons items of the history that speak for it, with their shares of all that do,
 *   largest first; empty where none does
 */
data class Recommendation(
    val item: Item,
    val score: Float,
    val likelihood: Float,
    val reasons: List<Reason>,
)

/** An item of the history and its share, in [0, 1], of all that speaks for a recommendation. */
data class Reason(val item: Item, val share: Float)

/**
 * A ranked list with what it cost.
 *
 * @property rows best first
 * @property nanoseconds time of ranking, explanations not counted
 */
data class Recommendations(val rows: List<Recommendation>, val nanoseconds: Long)

/** A file and the ranker that runs it. */
class Recommender(val file: RankerFile, private val ranker: Ranker) : AutoCloseable {
    val catalogue = Catalogue(file.vocabulary)
    private val lists = RankedLists(file, ranker)
    private val explainer = Explainer(ranker, file.description.historyLength)

    /** Ranks the catalogue, and explains the list; the arguments are those of [RankedLists.rank]. */
    fun recommend(
        history: History,
        exclude: Collection<Int> = emptyList(),
        candidates: Collection<Int>? = null,
        row: Map<String, Any?> = emptyMap(),
        k: Int = file.description.listLength,
    ): Recommendations {
        val start = System.nanoTime()
        val ranking = lists.rank(history.ids, k, exclude, candidates, row)
        val nanoseconds = System.nanoTime() - start
        val pulls = explainer.explain(history, ranking.ids)
        val rows = ranking.ids.indices.map { position ->
            Recommendation(
                catalogue[ranking.ids[position]],
                ranking.scores[position],
                ranking.likelihood(position),
                reasons(pulls[position]),
            )
        }
        return Recommendations(rows, nanoseconds)
    }

    /** Median time of ranking the catalogue, in nanoseconds, after as many runs to warm up. */
    fun medianNanoseconds(history: History, runs: Int, row: Map<String, Any?> = emptyMap()): Long {
        val query = file.query(history.ids, row)
        repeat(runs) { ranker.rank(query) }
        val times = LongArray(runs) {
            val start = System.nanoTime()
            ranker.rank(query)
            System.nanoTime() - start
        }
        times.sort()
        return times[runs / 2]
    }

    override fun close() = ranker.close()

    private fun reasons(pulls: List<Pull>): List<Reason> {
        val speaking = pulls.filter { it.strength > 0 }
        val total = speaking.map { it.strength }.sum()
        return speaking.map { Reason(catalogue[it.id], it.strength / total) }
    }
}
