package memcom.tflite

import memcom.core.History
import memcom.core.ModelFile
import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.RankedLists
import memcom.core.RankerFile
import memcom.core.Recommender
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File

/** The app's ranker on the x86_64 library of the APK: the numbers that Python wrote for every model. */
class TfliteRankerTest {
    private val models = folder("demo.models").listFiles { file -> file.extension == "tflite" }!!.toList()
    private val fixtures = folder("demo.fixtures")
    private val teas = fixtures.resolve("teas.tflite")

    @Test
    fun vectorsScoresAndListsAreThoseOfPython() {
        assertTrue("no models", models.isNotEmpty())
        for (model in models + FIXTURES.map(fixtures::resolve)) {
            val golden = Golden.of(model)
            val file = ModelFile.read(direct(model)).ranker()
            TfliteRanker(file).use { ranker -> compare(model.name, golden, file, ranker) }
        }
    }

    private fun compare(name: String, golden: Golden, file: RankerFile, ranker: TfliteRanker) {
        ranker.vectors(golden.ids).forEachIndexed { row, vector ->
            assertClose("$name: vector of ${golden.ids[row]}", golden.vectors[row], vector, golden.tolerance)
        }
        val lists = RankedLists(file, ranker)
        for ((number, case) in golden.cases.withIndex()) {
            val scores = ranker.score(file.query(case.history, case.row), case.candidates)
            assertClose("$name, case $number: candidates", case.candidateScores, scores, golden.tolerance)
            assertSameList("$name, case $number", case, lists.rank(case.history, row = case.row), golden.tolerance)
        }
        assertTrue("$name has lists", golden.lists.any { it.candidates != null } && golden.lists.any { it.exclude.size > 2 })
        for ((number, asked) in golden.lists.withIndex()) {
            val found = asked.run { lists.rank(history, k, exclude, candidates, row) }
            assertSameList("$name, list $number", asked, found, golden.tolerance)
        }
    }

    @Test
    fun historyIsNeverRecommended() = recommender(models.first()).use { recommender ->
        val history = History(recommender.recommend(History()).rows.map { it.item.id })
        val rows = recommender.recommend(history).rows
        assertEquals(history.ids.size, rows.size)
        assertTrue(rows.none { it.item.id in history.ids })
    }

    @Test
    fun anUntiedModelExplainsByTheVectorsOfItsRankedTable() = recommender(teas).use { recommender ->
        val file = recommender.file
        assertTrue("embed_output" in file.description.signatures)
        val ranker = TfliteRanker(file)
        val id = file.vocabulary.firstId
        assertTrue(!ranker.vectors(intArrayOf(id))[0].contentEquals(ranker.outputVectors(intArrayOf(id))[0]))
    }

    @Test
    fun aGraphThatTheRuntimeCannotReadIsRefused() {
        val unreadable = ModelFile.read(direct(fixtures.resolve("unreadable_graph.tflite"))).ranker()
        val error = assertThrows(ModelFileException::class.java) { TfliteRanker(unreadable) }
        assertEquals(Problem.REFUSED_BY_RUNTIME, error.problem)
    }

    @Test
    fun idsThatTheTablesDoNotHaveAreRefused() = recommender(fixtures.resolve("too_many_items.tflite")).use {
        val history = History(listOf(it.file.vocabulary.ids.last))
        val error = assertThrows(ModelFileException::class.java) { it.recommend(history) }
        assertEquals(Problem.REFUSED_BY_RUNTIME, error.problem)
    }

    @Test
    fun anInputThatIsNeitherAHistoryNorFieldsIsNamed() {
        // Of the second the graph takes a history that the description does not know.
        for ((name, input) in mapOf("offers_by_hour.tflite" to "hour", "offers_without_history.tflite" to "history")) {
            val file = ModelFile.read(direct(fixtures.resolve(name))).ranker()
            val error = assertThrows(name, ModelFileException::class.java) { TfliteRanker(file) }
            assertEquals(Problem.OTHER_INPUT to input, error.problem to error.named)
            assertEquals(
                "The inputs of a query must be a history, or fields that the file describes. Received: input='$input'. " +
                    "Such a file is ranked with from Python alone.",
                error.message,
            )
        }
    }

    @Test
    fun aGraphOfAnotherQueryOrListIsRefused() {
        for (name in listOf("offers_of_longer_history", "offers_of_more_fields", "offers_of_longer_list", "today_with_history")) {
            val file = ModelFile.read(direct(fixtures.resolve("$name.tflite"))).ranker()
            val error = assertThrows(name, ModelFileException::class.java) { TfliteRanker(file) }
            assertEquals(name, Problem.REFUSED_BY_RUNTIME, error.problem)
        }
    }

    @Test
    fun fieldsChangeTheList() = recommender(fixtures.resolve("offers.tflite")).use { recommender ->
        val history = History(listOf(recommender.file.vocabulary.firstId))
        val lists = listOf("Monday", "Sunday").map { day -> recommender.recommend(history, row = mapOf("weekday" to day)).rows }
        assertTrue(lists[0].map { it.item.id to it.score } != lists[1].map { it.item.id to it.score })
    }

    private companion object {
        /** Of a history; of a history and fields, some of which the graph does not take; of fields alone. */
        val FIXTURES = listOf("teas.tflite", "offers.tflite", "today.tflite")
    }

    private fun recommender(file: File) = ModelFile.read(direct(file)).ranker().let { Recommender(it, TfliteRanker(it)) }
}
