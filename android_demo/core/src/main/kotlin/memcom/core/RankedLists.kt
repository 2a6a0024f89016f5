package memcom.core

/**
 * Lists of a ranker's file that leave items out, or are of some items only; as `CompressedModelFile.rank`.
 *
 * The list that the graph makes is taken where enough of it is left. Else all items that may be in the
 * list are scored, which gives the same list and takes longer.
 */
class RankedLists(private val file: RankerFile, private val ranker: Ranker) {
    /**
     * The best items of a query, best first; of equal scores the smaller id first. The list is shorter
     * where fewer items are left.
     *
     * @param history ids in order of time, where the file takes a history; those that the model sees are left out
     * @param k length of the list, at most that of the file; of [candidates] any
     * @param exclude ids to leave out, too
     * @param candidates ids to rank, such as what is in stock; null ranks the catalogue
     * @param row values of the fields that the file takes; what is left out is missing
     * @throws IllegalArgumentException if [k] is out of range, ids are not in the catalogue, or the file takes
     *   no such history or row
     */
    fun rank(
        history: List<Int> = emptyList(),
        k: Int = file.description.listLength,
        exclude: Collection<Int> = emptyList(),
        candidates: Collection<Int>? = null,
        row: Map<String, Any?> = emptyMap(),
    ): Ranking {
        val query = file.query(history, row)
        require(k >= 1) { "`k` must be a positive integer. Received: k=$k." }
        val leftOut = items(exclude).toSet()
        val asked = candidates?.let { items(it).distinct().sorted().toIntArray() }
        if (asked == null) {
            val found = rankAll(query, k)
            val left = found.ids.indices.filter { found.ids[it] !in leftOut }
            if (left.size >= k || leftOut.isEmpty()) return found.at(left.take(k))
        }
        return rankThese(query, asked ?: catalogue(), leftOut + query.history.asList(), k)
    }

    private fun rankAll(query: Query, k: Int): Ranking {
        val longest = file.description.listLength
        require(k <= longest) {
            "`k` must be in [1, $longest], as long as the list of the file. Received: k=$k. Convert with a larger `k`."
        }
        return ranker.rank(query)
    }

    private fun rankThese(query: Query, candidates: IntArray, leftOut: Set<Int>, k: Int): Ranking {
        val ids = IntArray(candidates.size)
        var count = 0
        for (id in candidates) if (id !in leftOut) ids[count++] = id
        val scores = FloatArray(count)
        for (first in 0 until count step SCORED_AT_A_TIME) {
            val part = ids.copyOfRange(first, minOf(count, first + SCORED_AT_A_TIME))
            ranker.score(query, part).copyInto(scores, first)
        }
        return Ranking(ids, scores).at(best(scores, k))
    }

    /** Places of the [k] largest scores, falling; of equal ones the earlier first, and NaN last. */
    private fun best(scores: FloatArray, k: Int): List<Int> {
        val keys = LongArray(scores.size) { -rising(scores[it]) shl 32 or it.toLong() }
        keys.sort()
        return keys.take(k).map { it.toInt() }
    }

    /** An integer of 32 bits that rises with a score; 0 and -0 have the same. */
    private fun rising(score: Float): Long {
        if (score.isNaN()) return Int.MIN_VALUE + 1L
        val bits = (score + 0f).toRawBits()
        return (if (bits < 0) bits xor Int.MAX_VALUE else bits).toLong()
    }

    private fun Ranking.at(places: List<Int>) =
        Ranking(IntArray(places.size) { ids[places[it]] }, FloatArray(places.size) { scores[places[it]] })

    /** The ids of all items. */
    private fun catalogue(): IntArray {
        val vocabulary = file.vocabulary
        val ids = IntArray(vocabulary.size)
        var count = 0
        for (id in vocabulary.ids) if (!vocabulary.isHole(id)) ids[count++] = id
        return ids
    }

    /** Ids of items; the reserved ones are left out. */
    private fun items(ids: Collection<Int>): List<Int> {
        file.requireItems(ids)
        return ids.filter { it >= file.vocabulary.firstId }
    }

    private companion object {
        const val SCORED_AT_A_TIME = 1 shl 14
    }
}
