package memcom.core

/**
 * How strongly an item of the history speaks for a ranked item.
 *
 * @property id the item of the history
 * @property strength product of the two items' vectors; negative where it speaks against
 */
data class Pull(val id: Int, val strength: Float)

/**
 * Explains ranked items by the vectors of a model.
 *
 * @param historyLength items of a history that the model sees
 */
class Explainer(private val ranker: Ranker, private val historyLength: Int) {
    /**
     * The pulls on each ranked item, strongest first.
     *
     * A score is the product of the ranked item's vector with a mean of the history's vectors that
     * favours the recent. The mean's weights are inside the graph, so they have no part in this. Of a model
     * with another query it says how close the two items are.
     */
    fun explain(history: History, ranked: IntArray): List<List<Pull>> {
        val seen = history.ids.takeLast(historyLength)
        if (seen.isEmpty() || ranked.isEmpty()) return ranked.map { emptyList() }
        val seenVectors = ranker.vectors(seen.toIntArray())
        return ranker.outputVectors(ranked).map { vector ->
            seen.indices
                .map { Pull(seen[it], dot(seenVectors[it], vector)) }
                .sortedByDescending { it.strength }
        }
    }

    private fun dot(a: FloatArray, b: FloatArray): Float {
        var sum = 0f
        for (i in a.indices) sum += a[i] * b[i]
        return sum
    }
}
