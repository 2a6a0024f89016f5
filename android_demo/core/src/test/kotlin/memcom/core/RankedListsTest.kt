package memcom.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** Lists at run time: what `CompressedModelFile.rank` of the Python package does, and its messages. */
class RankedListsTest {
    private val scores = HashMap<Int, Float>()
    private val scored = ArrayList<List<Int>>()
    private val queries = ArrayList<Query>()

    /** The three best of [scores], those of the history left out, as a graph does; 0 where none is given. */
    private val ranker = object : Ranker {
        override fun rank(query: Query): Ranking {
            queries += query
            val best = scores.keys.filter { it !in query.history }.sortedByDescending { scores[it] }.take(3)
            return Ranking(best.toIntArray(), score(best))
        }

        override fun score(query: Query, candidates: IntArray): FloatArray {
            queries += query
            scored += candidates.toList()
            return score(candidates.toList())
        }

        private fun score(ids: List<Int>) = FloatArray(ids.size) { scores[ids[it]] ?: 0f }

        override fun vectors(ids: IntArray) = throw UnsupportedOperationException()

        override fun outputVectors(ids: IntArray) = throw UnsupportedOperationException()

        override fun close() = Unit
    }

    /** Items 2 to 8 but for 5, which is free; id 1 stands for unknown ones. */
    private fun file(
        historyLength: Int = 2,
        items: List<String?> = listOf("a", "b", "c", null, "e", "f", "g"),
        fields: String? = null,
    ) = TestFile(
        description = TestFile.DESCRIPTION.replace("\"input_dim\": 4", "\"input_dim\": ${items.size + 2}")
            .replace("\"k\": 2", "\"k\": 3" + fields?.let { ", \"fields\": $it" }.orEmpty())
            .replace("\"history_length\": 3", "\"history_length\": $historyLength"),
        vocabulary = TestVocabulary.bytes(items, firstId = 2),
    ).ranker()

    private val lists = RankedLists(file(), ranker)

    private fun score(vector: List<Float>) = vector.forEachIndexed { place, score -> scores[place + 2] = score }

    private fun assertList(ids: List<Int>, found: Ranking) {
        assertEquals(ids, found.ids.toList())
        assertArrayEquals(FloatArray(ids.size) { scores[ids[it]] ?: 0f }, found.scores, 0f)
    }

    @Test
    fun theListOfTheGraphIsTakenWhereEnoughOfItIsLeft() {
        score(listOf(3f, 9f, 8f, 0f, 7f, 5f, 1f))
        assertList(listOf(3, 4, 6), lists.rank())
        assertList(listOf(3), lists.rank(k = 1))
        assertList(listOf(4, 6), lists.rank(k = 2, exclude = listOf(3)))
        assertList(listOf(6), lists.rank(listOf(3), k = 1, exclude = listOf(4, 2)))
        assertEquals(emptyList<List<Int>>(), scored)
    }

    @Test
    fun elseAllItemsAreScored() {
        score(listOf(3f, 9f, 8f, 99f, 7f, 5f, 1f))
        assertList(listOf(6, 7, 2), lists.rank(exclude = listOf(4, 3, 3, 0, 1)))
        assertList(listOf(7, 2), lists.rank(listOf(6), k = 2, exclude = listOf(3, 4)))
        assertEquals("neither reserved nor free ids", listOf(listOf(2, 6, 7, 8), listOf(2, 7, 8)), scored)
        assertList(listOf(8), lists.rank(exclude = listOf(2, 3, 4, 6, 7)))
        assertList(emptyList(), lists.rank(exclude = listOf(2, 3, 4, 6, 7, 8)))
    }

    @Test
    fun candidatesAloneAreRanked() {
        score(listOf(3f, 9f, 8f, 0f, 7f, 5f, 1f))
        assertList(listOf(4, 6, 7, 8), lists.rank(k = 9, candidates = listOf(8, 7, 4, 6, 4, 1, 0)))
        assertList(listOf(4, 6), lists.rank(k = 2, candidates = setOf(8, 7, 4, 6)))
        assertList(listOf(7, 8), lists.rank(listOf(6), exclude = listOf(4), candidates = listOf(8, 7, 4, 6)))
        assertList(emptyList(), lists.rank(candidates = emptyList()))
        assertList(emptyList(), lists.rank(listOf(6), candidates = listOf(6)))
    }

    @Test
    fun ofEqualScoresTheSmallerIdIsFirstAndWhatIsNoNumberIsLast() {
        val infinity = Float.POSITIVE_INFINITY
        score(listOf(-0f, 0f, Float.NaN, 0f, -infinity, infinity, -1e-45f))
        assertList(listOf(7, 2, 3, 8, 6, 4), lists.rank(k = 9, candidates = listOf(8, 7, 6, 4, 3, 2)))
        scores[2] = 1e-45f
        scores[3] = -2.5f
        scores[8] = -3f
        assertList(listOf(7, 2, 3, 8, 6, 4), lists.rank(k = 9, candidates = listOf(8, 7, 6, 4, 3, 2)))
    }

    @Test
    fun itemsAreScoredInParts() {
        val many = RankedLists(file(items = List(40_000) { "$it" }), ranker)
        for (id in 2 until 40_002) scores[id] = (id * 7919L % 39_989).toFloat()
        val best = scores.keys.sortedWith(compareBy({ -scores[it]!! }, { it }))
        val left = best.drop(3)
        assertList(left.take(3), many.rank(exclude = best.take(3)))
        assertEquals(listOf(16_384, 16_384, 39_997 - 2 * 16_384), scored.map { it.size })
        assertEquals(left.sorted(), scored.flatten())
    }

    @Test
    fun theQueryIsOneForAllParts() {
        score(listOf(3f, 9f, 8f))
        lists.rank(listOf(8, 7, 0, 6), exclude = listOf(2, 3))
        for (query in queries) assertArrayEquals(intArrayOf(7, 6), query.history)
        assertEquals(2, queries.size)
    }

    @Test
    fun whatDoesNotFitIsRefused() {
        assertRefused("`k` must be a positive integer. Received: k=0.") { lists.rank(k = 0) }
        assertRefused("`k` must be in [1, 3], as long as the list of the file. Received: k=4. Convert with a larger `k`.") {
            lists.rank(k = 4)
        }
        for (id in listOf(-1, 9, 5)) {
            val message = "Ids must be in [0, 9), and ids of items in the vocabulary. Received: id=$id. " +
                "Map items to ids with the file's `vocabulary`."
            assertRefused(message) { lists.rank(listOf(id)) }
            assertRefused(message) { lists.rank(exclude = listOf(2, id)) }
            assertRefused(message) { lists.rank(candidates = listOf(2, id)) }
        }
        assertRefused("The file must hold a model of rows of fields. Received: kind='ranker'. Convert a memcom_tf.models.ClickModel.") {
            lists.rank(row = mapOf("age" to 3))
        }
    }

    @Test
    fun aFileWithoutAHistoryRanksByFieldsAlone() {
        val file = file(historyLength = 0, fields = """[{"name": "age", "holds": "numbers"}, {"name": "size", "holds": "numbers"}]""")
        val lists = RankedLists(file, ranker)
        score(listOf(3f, 9f, 8f))
        assertList(listOf(3, 4, 2), lists.rank(row = mapOf("age" to 31, "size" to null)))
        assertEquals(0, queries.last().history.size)
        assertArrayEquals(floatArrayOf(31f, Float.NaN), queries.last().row.numbers, 0f)
        lists.rank()
        assertTrue("what is left out is missing", queries.last().row.numbers.all { it.isNaN() })
        assertRefused("`history` must be left out: the file takes none. Received: history=[2, 3].") { lists.rank(listOf(2, 3)) }
        assertRefused("Fields must be among age, size. Received: fields=['a', 'b'].") { lists.rank(row = mapOf("b" to 1, "a" to 1)) }
        assertRefused("The field `age` must hold a finite number. Received: old.") { lists.rank(row = mapOf("age" to "old")) }
    }

    private fun assertRefused(message: String, rank: () -> Unit) {
        assertEquals(message, assertThrows(IllegalArgumentException::class.java) { rank() }.message)
    }
}
