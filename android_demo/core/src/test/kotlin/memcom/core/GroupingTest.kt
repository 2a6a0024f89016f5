package memcom.core

import org.junit.Assert.assertEquals
import org.junit.Test

class GroupingTest {
    private val items = listOf("a", "b", null, "c", "d")

    private fun groupings(vararg details: Pair<String, List<String>>) =
        Catalogue(TestVocabulary.of(items, mapOf("title" to listOf("A", "B", "", "C", "D")) + details)).groupings

    @Test
    fun aDetailOfFewValuesGroupsTheItemsThatHaveThem() {
        val genres = groupings("genres" to listOf("War|Drama", "Drama", "", "Comedy", "")).single()
        assertEquals("genres", genres.name)
        assertEquals(listOf("Comedy", "Drama", "War"), genres.values)
        assertEquals(listOf(1, 2), genres.ids("Drama"))
        assertEquals(listOf(1), genres.ids("War"))
        assertEquals(listOf(4), genres.ids("Comedy"))
        assertEquals("only whole values", emptyList<Int>(), genres.ids("Dra"))
        assertEquals(emptyList<Int>(), genres.ids(""))
    }

    @Test
    fun aFreeIdIsOfNoGroup() {
        val shelves = groupings("shelf" to listOf("1", "2", "1", "1", "2")).single()
        assertEquals(listOf(1, 4), shelves.ids("1"))
        assertEquals(listOf(1, 2, 4, 5), Catalogue(TestVocabulary.of(items)).ids)
    }

    @Test
    fun titlesOneValueAndTooManyGroupNothing() {
        assertEquals(emptyList<Grouping>(), groupings())
        assertEquals(emptyList<Grouping>(), groupings("kind" to List(5) { "film" }))
        val of = { values: Int ->
            Catalogue(TestVocabulary.of(List(values) { "$it" }, mapOf("maker" to List(values) { "maker $it" }))).groupings
        }
        assertEquals(Grouping.MOST_VALUES, of(Grouping.MOST_VALUES).single().values.size)
        assertEquals(emptyList<Grouping>(), of(Grouping.MOST_VALUES + 1))
    }
}
