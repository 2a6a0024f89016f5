package memcom.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.exp

class RecommenderTest {
    /** Ranks ids 3 and 2, with vectors and scores that can be checked by hand. */
    private class HandMade(private val queries: MutableList<Query> = ArrayList()) : Ranker {
        val asked get() = queries.last()

        override fun rank(query: Query): Ranking {
            queries += query
            return Ranking(intArrayOf(3, 2), floatArrayOf(-1f, -3f))
        }

        override fun score(query: Query, candidates: IntArray) = FloatArray(candidates.size) { -candidates[it].toFloat() }

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
        assertArrayEquals(intArrayOf(1, 2, 0), ranker.asked.history)
        val shorter = TestFile(description = TestFile.DESCRIPTION.replace("\"history_length\": 3", "\"history_length\": 2"))
        val rows = Recommender(shorter.ranker(), ranker).recommend(History(listOf(3, 1, 2))).rows
        assertArrayEquals(intArrayOf(1, 2), ranker.asked.history)
        assertTrue("an item that the model does not see is no reason", rows[0].reasons.none { it.item.id == 3 })
    }

    @Test
    fun listsMayLeaveItemsOutOrBeOfSomeOnly() {
        assertEquals(listOf(1, 2), recommender.recommend(History(), exclude = listOf(3)).rows.map { it.item.id })
        val rows = recommender.recommend(History(listOf(1)), candidates = listOf(3, 2, 1)).rows
        assertEquals(listOf(2, 3), rows.map { it.item.id })
        assertEquals(listOf(1f, exp(-1f)), rows.map { it.likelihood })
        assertEquals(1, rows[0].reasons.single().item.id)
        assertEquals(emptyList<Recommendation>(), recommender.recommend(History(), candidates = emptyList()).rows)
    }

    @Test
    fun theListIsAsLongAsIsAsked() {
        assertEquals(listOf(3), recommender.recommend(History(), k = 1).rows.map { it.item.id })
        val all = recommender.recommend(History(), candidates = recommender.catalogue.ids, k = 3)
        assertEquals("longer than the file's, of candidates", listOf(1, 2, 3), all.rows.map { it.item.id })
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
