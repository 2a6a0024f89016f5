package memcom.core

import org.junit.Assert.assertEquals
import org.junit.Test

class CatalogueTest {
    private val titles = listOf(
        "Return of the Jedi (1983)", "Star Wars (1977)", "Godfather, The (1972)", "Amélie (2001)",
        "Starship Troopers (1997)", "Stardust (2007)", "Dark Star (1974)", "Custard (1999)",
    )
    private val catalogue = Catalogue(TestVocabulary.of(titles.indices.map { "$it" }, mapOf("title" to titles)))

    private fun find(query: String, limit: Int = 10) = catalogue.search(query, limit).map { it.title.substringBefore(" (") }

    @Test
    fun beginningsComeBeforeWordsAndWordsBeforeParts() {
        assertEquals(listOf("Star Wars", "Starship Troopers", "Stardust", "Dark Star", "Custard"), find("star"))
    }

    @Test
    fun caseAccentsAndOrderOfWordsDoNotMatter() {
        assertEquals(listOf("Amélie"), find("amelie"))
        assertEquals(listOf("Amélie"), find("AMÉL"))
        assertEquals(listOf("Godfather, The"), find("the godf"))
    }

    @Test
    fun everyWordMustFit() = assertEquals(emptyList<String>(), find("star jedi"))

    @Test
    fun withoutWordsTheMostFrequentComeFirst() {
        assertEquals(listOf("Return of the Jedi", "Star Wars"), find("  ", limit = 2))
    }

    @Test
    fun theLimitCountsFromTheBest() = assertEquals(listOf("Star Wars"), find("star", limit = 1))

    @Test
    fun captionsAreTheOtherDetails() {
        val details = mapOf("title" to listOf("A", ""), "genres" to listOf("Action|Crime", ""), "year" to listOf("1977", ""))
        val catalogue = Catalogue(TestVocabulary.of(listOf("x", "y"), details))
        assertEquals(Item(1, "A", "Action · Crime · 1977"), catalogue[1])
        assertEquals("an item without a title has its own name", Item(2, "y", ""), catalogue[2])
    }

    @Test
    fun freeIdsAreNeitherCountedNorFound() {
        val items = listOf("tea", null, "", null)
        val vocabulary = TestVocabulary.of(items, mapOf("title" to listOf("Tea", "", "", "")), firstId = 2)
        val catalogue = Catalogue(vocabulary)
        assertEquals(listOf(2, 2 + 4), listOf(catalogue.size, vocabulary.inputDim))
        assertEquals(listOf(2, 4), catalogue.search("", 9).map { it.id })
        assertEquals(listOf(2), catalogue.search("te", 9).map { it.id })
        assertEquals(listOf(4, 2), vocabulary.idsOf(listOf("", "tea")))
    }

    @Test
    fun aVocabularyWithoutDetailsShowsItsItems() {
        val catalogue = Catalogue(TestVocabulary.of(listOf("tea", "milk"), firstId = 2))
        assertEquals(Item(3, "milk", ""), catalogue[3])
        assertEquals(listOf(2), catalogue.search("TE", 5).map { it.id })
    }
}
