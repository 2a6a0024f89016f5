package memcom.tflite

import memcom.core.History
import memcom.core.ModelFile
import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.Recommender
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import kotlin.math.abs

/** The app's ranker on the x86_64 library of the APK: the numbers that Python wrote for every model. */
class TfliteRankerTest {
    private val models = folder("demo.models").listFiles { file -> file.extension == "tflite" }!!.toList()
    private val teas = folder("demo.fixtures").resolve("teas.tflite")

    @Test
    fun vectorsScoresAndListsAreThoseOfPython() {
        assertTrue("no models", models.isNotEmpty())
        for (model in models + teas) {
            val golden = Golden.of(model)
            TfliteRanker(ModelFile.read(direct(model)).ranker()).use { ranker -> compare(model.name, golden, ranker) }
        }
    }

    private fun compare(name: String, golden: Golden, ranker: TfliteRanker) {
        ranker.vectors(golden.ids).forEachIndexed { row, vector ->
            assertClose("$name: vector of ${golden.ids[row]}", golden.vectors[row], vector, golden.tolerance)
        }
        for ((number, case) in golden.cases.withIndex()) {
            val row = History(case.history).row(ranker.historyLength)
            val scores = ranker.score(row, case.candidates)
            assertClose("$name, case $number: candidates", case.candidateScores, scores, golden.tolerance)
            val ranking = ranker.rank(row)
            assertClose("$name, case $number: scores", case.scores, ranking.scores, golden.tolerance)
            val scoreOf = case.ids.zip(case.scores.toList()).toMap()
            ranking.ids.forEachIndexed { place, id ->
                // Equal scores may change places, nothing else.
                val tied = abs((scoreOf[id] ?: Float.MAX_VALUE) - case.scores[place]) <= golden.tolerance
                assertTrue("$name, case $number: ${ranking.ids.toList()}, not ${case.ids}", id == case.ids[place] || tied)
            }
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
        val unreadable = ModelFile.read(direct(folder("demo.fixtures").resolve("unreadable_graph.tflite"))).ranker()
        val error = assertThrows(ModelFileException::class.java) { TfliteRanker(unreadable) }
        assertEquals(Problem.REFUSED_BY_RUNTIME, error.problem)
    }

    @Test
    fun idsThatTheTablesDoNotHaveAreRefused() = recommender(folder("demo.fixtures").resolve("too_many_items.tflite")).use {
        val history = History(listOf(it.file.vocabulary.ids.last))
        val error = assertThrows(ModelFileException::class.java) { it.recommend(history) }
        assertEquals(Problem.REFUSED_BY_RUNTIME, error.problem)
    }

    private fun recommender(file: File) = ModelFile.read(direct(file)).ranker().let { Recommender(it, TfliteRanker(it)) }
}
