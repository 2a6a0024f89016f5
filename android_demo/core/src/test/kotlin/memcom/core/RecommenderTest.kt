package memcom.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.exp

class RecommenderTest {
    /** Ranks ids 3 and 2, with vectors and scores that can be checked by hand. */
    private class HandMade(private val history: MutableList<IntArray> = ArrayList()) : Ranker {
        override val historyLength = 3
        val asked get() = history.last()

        override fun rank(history: IntArray): Ranking {
            this.history += history
            return Ranking(intArrayOf(3, 2), floatArrayOf(-1f, -3f))
        }

        override fun score(history: IntArray, candidates: IntArray) = FloatArray(candidates.size)

        override fun vectors(ids: IntArray) = Array(ids.size) { floatArrayOf(ids[it].toFloat(), 1f) }

        override fun outputVectors(ids: IntArray) =
            Array(ids.size) { if (ids[it] == 3) floatArrayOf(1f, 0f) else floatArrayOf(-1f, 2f) }

        override fun close() = Unit
    }

    private val ranker = HandMade()
    private val recommender = Recommender(TestFile().ranker(), ranker)

    @Test
    fun rowsCarryTitleScoreAndLikelihood() {
        val rows = recommender.recommend(History()).rows
        assertEquals(listOf("Amélie (2001)", "Twelve Monkeys (1995)"), rows.map { it.item.title })
        assertEquals(-1f, rows[0].score, 0f)
        assertEquals(listOf(1f, exp(-2f)), rows.map { it.likelihood })
        assertTrue(rows.all { it.reasons.isEmpty() })
    }

    @Test
    fun reasonsAreSharesOfWhatSpeaksForTheItem() {
        val rows = recommender.recommend(History(listOf(1, 2))).rows
        // For id 3: 1 of id 1, 2 of id 2. For id 2: 1 of id 1, and 0 of itself, which does not count.
        assertEquals(listOf(2 to 2 / 3f, 1 to 1 / 3f), rows[0].reasons.map { it.item.id to it.share })
        assertEquals(listOf(1 to 1f), rows[1].reasons.map { it.item.id to it.share })
    }

    @Test
    fun theModelSeesTheMostRecentInOrderOfTime() {
        recommender.recommend(History(listOf(1, 2)))
        assertArrayEquals(intArrayOf(1, 2, 0), ranker.asked)
        recommender.recommend(History(listOf(9, 1, 2, 3)))
        assertArrayEquals(intArrayOf(1, 2, 3), ranker.asked)
        val reasons = recommender.recommend(History(listOf(9, 1, 2, 3))).rows[0].reasons
        assertTrue("an item that the model does not see is no reason", reasons.none { it.item.id == 9 })
    }

    @Test
    fun aHistoryHoldsAnItemOnceAsTheMostRecent() {
        assertEquals(listOf(2, 1), (History(listOf(1, 2)) + 1).ids)
        assertEquals(listOf(2), (History(listOf(1, 2)) - 1).ids)
        assertEquals(listOf(1), (History(listOf(1)) - 7).ids)
    }

    @Test
    fun comparisonCountsWhatBothListsHold() {
        val comparison = Comparison(listOf("a", "b", "c"), listOf("c", "d", "a", "e"))
        assertEquals(setOf("a", "c"), comparison.shared)
        assertEquals(3, comparison.places)
    }
}
