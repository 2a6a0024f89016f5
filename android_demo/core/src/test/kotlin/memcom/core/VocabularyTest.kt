package memcom.core

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer
import java.util.Random

/** The format of converters/VOCABULARY_FORMAT.md: what Python wrote, and what hostile hands did. */
class VocabularyTest {
    private val golden = JsonParser.parseString(File(System.getProperty("demo.golden")!!, "vocabularies.json").readText()).asJsonObject

    private fun bytes(json: JsonElement) = json.asString.chunked(2).map { it.toInt(16).toByte() }.toByteArray()

    private fun read(bytes: ByteArray) = Vocabulary.read(ByteBuffer.wrap(bytes))

    private fun JsonArray.texts() = map { if (it.isJsonNull) null else it.asString }

    @Test
    fun whatPythonWroteIsRead() {
        for (case in golden["vocabularies"].asJsonArray.map { it.asJsonObject }) {
            val name = case["name"].asString
            val vocabulary = read(bytes(case["hex"]))
            assertEquals(name, case["fingerprint"].asString, vocabulary.fingerprint)
            assertEquals(name, case["first_id"].asInt, vocabulary.firstId)
            val items = case["items"].asJsonArray.texts()
            assertEquals(name, items.size, vocabulary.items.size)
            assertEquals(name, items.count { it != null }, vocabulary.size)
            items.forEachIndexed { index, item ->
                val id = vocabulary.firstId + index
                assertEquals(name, item == null, vocabulary.isHole(id))
                assertEquals(name, item.orEmpty(), vocabulary.item(id))
                if (item != null) assertEquals("$name, $item", id, vocabulary.idOf(item))
            }
            case["unknown"].asJsonArray.forEach { assertNull(name, vocabulary.idOf(it.asString)) }
            assertDetails(name, case["details"].asJsonObject, vocabulary)
        }
    }

    private fun assertDetails(name: String, details: JsonObject, vocabulary: Vocabulary) {
        assertEquals(name, details.keySet().toList(), vocabulary.details.keys.toList())
        for ((detail, texts) in details.entrySet()) {
            assertEquals("$name, $detail", texts.asJsonArray.texts(), vocabulary.ids.map { vocabulary.detail(detail, it) })
        }
    }

    @Test
    fun whatIsDamagedIsRefused() {
        for (case in golden["damaged"].asJsonArray.map { it.asJsonObject }) {
            assertThrows(case["name"].asString, IllegalArgumentException::class.java) { read(bytes(case["hex"])) }
        }
    }

    @Test
    fun whatIsReadAfterDamageNeverFails() {
        val random = Random(0)
        var read = 0
        for (case in golden["vocabularies"].asJsonArray.map { it.asJsonObject }) {
            val intact = bytes(case["hex"])
            repeat(5000) {
                val damaged = intact.clone()
                repeat(1 + random.nextInt(3)) { damaged[random.nextInt(damaged.size)] = random.nextInt().toByte() }
                val vocabulary = try {
                    read(damaged)
                } catch (_: IllegalArgumentException) {
                    return@repeat
                } catch (_: ModelFileException) {
                    return@repeat
                }
                ++read
                for (id in vocabulary.ids) {
                    if (!vocabulary.isHole(id)) assertTrue(vocabulary.items.distinct.contains(vocabulary.item(id)) || '\uFFFD' in vocabulary.item(id))
                    vocabulary.details.keys.forEach { vocabulary.detail(it, id) }
                }
                Catalogue(vocabulary).search("a", 5)
            }
        }
        assertTrue("$read", read > 1000)
    }

    @Test
    fun everyCutIsRefused() {
        val intact = TestVocabulary.bytes(listOf("tea", null, "milk"), mapOf("title" to listOf("Tea", "", "Milk")))
        for (size in intact.indices) {
            assertThrows("$size", IllegalArgumentException::class.java) { read(intact.copyOf(size)) }
        }
        assertThrows(IllegalArgumentException::class.java) { read(intact + 0) }
    }

    @Test
    fun manyItemsAreFound() {
        val items = List(20_000) { "item ${it * 7919L % 20_011}" }
        val vocabulary = TestVocabulary.of(items)
        for (index in items.indices step 7) assertEquals(1 + index, vocabulary.idOf(items[index]))
        assertFalse("item 20012" in vocabulary.items.distinct)
    }
}
