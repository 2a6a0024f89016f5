package memcom.core

import kotlin.math.exp

/** The signatures of a ranker's file; [RankedLists] makes lists of them. Not safe for use by several threads at once. */
interface Ranker : AutoCloseable {
    /** The best items of a query, those of the history left out, best first: as many as the file says. */
    fun rank(query: Query): Ranking

    /** Scores of candidates. */
    fun score(query: Query, candidates: IntArray): FloatArray

    /** Vectors of items of a history, one row an id. */
    fun vectors(ids: IntArray): Array<FloatArray>

    /** Vectors of items that are ranked: those of [vectors], but for models with a table of their own. */
    fun outputVectors(ids: IntArray): Array<FloatArray>
}

/**
 * What items are ranked by, as a model takes it; [RankerFile.query] makes it.
 *
 * @property history the most recent items in order of time, then zeros; empty where the file takes no history
 * @property row the fields; empty where the file takes none
 */
class Query internal constructor(val history: IntArray, val row: RowInputs)

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
