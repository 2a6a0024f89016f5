package memcom.tflite

import memcom.core.ModelFile
import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.TextVectorsFile
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** Vectors of texts on the x86_64 library of the APK: the numbers that Python wrote. */
class TfliteTextVectorsTest {
    private val titles = folder("demo.fixtures").resolve("titles.tflite")

    private fun read(name: String) = ModelFile.read(direct(titles.resolveSibling(name))) as TextVectorsFile

    @Test
    fun vectorsAreThoseOfPython() {
        val golden = GoldenTexts.of(titles)
        TfliteTextVectors(read(titles.name)).use { model ->
            golden.texts.zip(golden.vectors).forEach { (text, expected) ->
                assertClose("$text", expected, model.vectorOf(text), golden.tolerance)
            }
            assertArrayEquals(model.vectorOf(null), model.vectorOf("?!"), 0f)
        }
        assertTrue("vectors differ", golden.vectors.distinctBy { it.toList() }.size > golden.vectors.size / 2)
    }

    @Test
    fun aGraphOfOtherTextsOrVectorsIsRefused() {
        for (name in listOf("titles_of_fewer_ngrams.tflite", "titles_of_wider_vectors.tflite")) {
            val error = assertThrows(name, ModelFileException::class.java) { TfliteTextVectors(read(name)) }
            assertEquals(name, Problem.REFUSED_BY_RUNTIME, error.problem)
        }
    }
}
