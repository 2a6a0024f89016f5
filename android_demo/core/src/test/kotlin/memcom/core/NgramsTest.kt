package memcom.core

import com.google.gson.JsonObject
import com.google.gson.JsonParser
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer

/** Texts become the words, the n-grams and the ids that they become in Python. */
class NgramsTest {
    private val golden = json(File(System.getProperty("demo.golden")!!, "ngrams.json"))
    private val length = golden["length"].asInt
    private val field = NgramField("title", length, golden["num_buckets"].asInt)

    private fun json(file: File) = JsonParser.parseString(file.readText()).asJsonObject

    private fun cases(document: JsonObject) =
        document["cases"].asJsonArray.map { it.asJsonObject }.also { assertTrue(it.isNotEmpty()) }

    private fun JsonObject.texts(name: String) = get(name).asJsonArray.map { it.asString }

    private fun JsonObject.ints(name: String) = get(name).asJsonArray.map { it.asInt }.toIntArray()

    @Test
    fun textsAreCutIntoTheWordsOfPython() {
        for (case in cases(json(File(System.getProperty("demo.golden")!!, "words.json")))) {
            val found = Ngrams.words(case["text"].asString).map { String(it, 0, it.size) }
            assertEquals(case["name"].asString, case.texts("words"), found)
        }
    }

    @Test
    fun andIntoItsNgramsWhoseIdsAreTheSame() {
        for (case in cases(golden)) {
            val text = case["text"].asString
            assertEquals(case["name"].asString, case.texts("ngrams"), Ngrams.of(text, length))
            assertArrayEquals(case["name"].asString, case.ints("ids").copyOf(length), field.encode(text))
        }
    }

    @Test
    fun hashesAreThoseOfPython() {
        for ((text, hash) in golden["hashes"].asJsonObject.entrySet()) assertEquals(text, hash.asLong, Ngrams.hash(text))
    }

    @Test
    fun whatIsMissingHasNoNgram() {
        for (text in listOf(null, "", "?!", "\ud800")) assertArrayEquals(IntArray(length), field.encode(text))
    }

    @Test
    fun ngramsAreCutAnywhere() {
        val all = Ngrams.of("Green tea 東京都 of 2024", 1000)
        for (most in 0..all.size) assertEquals(all.subList(0, most), Ngrams.of("Green tea 東京都 of 2024", most))
    }

    @Test
    fun longTextsAreCut() {
        assertArrayEquals(field.encode("green tea ".repeat(9)), field.encode("green tea ".repeat(100_000)))
        assertTrue(field.encode("x".repeat(1_000_000)).all { it > 1 })
    }

    @Test
    fun rowsOfAConvertedModelBecomeWhatTheyBecomeInPython() {
        val fixture = File(System.getProperty("demo.fixtures")!!, "titles.tflite")
        val texts = (ModelFile.read(ByteBuffer.wrap(fixture.readBytes())) as TextVectorsFile).texts
        val values = json(fixture.resolveSibling("titles.golden.json"))
        values["rows"].asJsonArray.forEachIndexed { index, row ->
            val title = row.asJsonObject[texts.name].takeUnless { it.isJsonNull }?.asString
            val ids = values["ids"].asJsonArray[index].asJsonArray.map { it.asInt }.toIntArray()
            assertArrayEquals("row $index", ids, texts.encode(title))
        }
    }
}
