package memcom.core

import kotlin.math.exp

/** A model that ranks its whole catalogue by a history. Not safe for use by several threads at once. */
interface Ranker : AutoCloseable {
    /** Items of a history that the model sees. */
    val historyLength: Int

    /** The best items, those of the history left out, best first. [history] is a [History.row]. */
    fun rank(history: IntArray): Ranking

    /** Scores of candidates after a history. */
    fun score(history: IntArray, candidates: IntArray): FloatArray

    /** Vectors of items of a history, one row an id. */
    fun vectors(ids: IntArray): Array<FloatArray>

    /** Vectors of items that are ranked: those of [vectors], but for models with a table of their own. */
    fun outputVectors(ids: IntArray): Array<FloatArray>
}

/**
 * A ranked list.
 *
 * @property ids best first
 * @property scores of the ids: logarithms of how likely each is next, up to a constant
 */
class Ranking(val ids: IntArray, val scores: FloatArray) {
    /** How likely the item at [position] is next, relative to the first of the list: in [0, 1]. */
    fun likelihood(position: Int): Float = exp(scores[position] - scores[0])
}
