package memcom.tflite

import memcom.core.ModelFile
import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.ScorerFile
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** The app's scorer on the x86_64 library of the APK: the probabilities that Python wrote. */
class TfliteScorerTest {
    private val clicks = folder("demo.fixtures").resolve("clicks.tflite")

    private fun read(name: String) = ModelFile.read(direct(clicks.resolveSibling(name))) as ScorerFile

    @Test
    fun probabilitiesAreThoseOfPython() {
        val golden = GoldenRows.of(clicks)
        val file = read(clicks.name)
        val found = TfliteScorer(file).use { scorer -> golden.rows.map { scorer.score(file.fields.encode(it)) } }
        assertClose(clicks.name, golden.outputs, found.toFloatArray(), golden.tolerance)
        assertTrue("rows differ", found.distinct().size > found.size / 2)
    }

    @Test
    fun aGraphOfOtherRowsIsRefused() {
        val error = assertThrows(ModelFileException::class.java) { TfliteScorer(read("clicks_of_fewer_fields.tflite")) }
        assertEquals(Problem.REFUSED_BY_RUNTIME, error.problem)
    }
}
