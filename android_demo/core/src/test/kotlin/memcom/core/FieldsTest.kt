package memcom.core

import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer
import java.util.Random

/** Rows become the inputs that they become in Python, by the rules of converters/VOCABULARY_FORMAT.md. */
class FieldsTest {
    private val golden = json(File(System.getProperty("demo.golden")!!, "fields.json"))
    private val intact = bytes(golden["hex"])

    private fun json(file: File) = JsonParser.parseString(file.readText()).asJsonObject

    private fun bytes(json: JsonElement) = json.asString.chunked(2).map { it.toInt(16).toByte() }.toByteArray()

    private fun file(content: ByteArray?) = TestFile.ofRows(golden["fields"].toString(), content).read() as ScorerFile

    private fun row(json: JsonObject): Map<String, Any?> = json.entrySet().associate { (name, value) ->
        name to when {
            value.isJsonNull -> null
            value.isJsonArray -> value
            value.asJsonPrimitive.isNumber -> value.asNumber
            else -> value.asString
        }
    }

    private fun assertInputs(name: String, fields: Fields, row: JsonElement, ids: JsonElement, numbers: JsonElement) {
        val inputs = fields.encode(row(row.asJsonObject))
        assertArrayEquals(name, ids.asJsonArray.map { it.asInt }.toIntArray(), inputs.ids)
        val expected = numbers.asJsonArray.map { if (it.isJsonNull) Float.NaN else it.asFloat }.toFloatArray()
        assertArrayEquals(name, expected, inputs.numbers, 0f)
    }

    @Test
    fun rowsBecomeWhatTheyBecomeInPython() {
        val fields = file(intact).fields
        val cases = golden["rows"].asJsonArray.map { it.asJsonObject }
        assertTrue(cases.isNotEmpty())
        for (case in cases) assertInputs(case["name"].asString, fields, case["row"], case["ids"], case["numbers"])
    }

    @Test
    fun rowsOfAConvertedModelToo() {
        val fixture = File(System.getProperty("demo.fixtures")!!, "clicks.tflite")
        val file = ModelFile.read(ByteBuffer.wrap(fixture.readBytes())) as ScorerFile
        val values = json(fixture.resolveSibling("clicks.golden.json"))
        val rows = values["rows"].asJsonArray
        assertTrue(rows.size() > 0)
        rows.forEachIndexed { index, row ->
            assertInputs("row $index", file.fields, row, values["ids"].asJsonArray[index], values["numbers"].asJsonArray[index])
        }
    }

    @Test
    fun whatIsNoNumberIsRefused() {
        val fields = file(intact).fields
        val refused = golden["refused"].asJsonArray.map { row(it.asJsonObject) }
        for (row in refused + mapOf("age" to true) + mapOf("age" to Double.NEGATIVE_INFINITY)) {
            val error = assertThrows("$row", IllegalArgumentException::class.java) { fields.encode(row) }
            val (name, value) = row.entries.single()
            assertEquals("The field `$name` must hold a finite number. Received: $value.", error.message)
        }
    }

    @Test
    fun categoriesAreTextsOrWholeNumbers() {
        val fields = file(intact).fields
        assertEquals(6, fields.encode(mapOf("city" to 5)).ids[0])
        assertEquals(6, fields.encode(mapOf("city" to 5L)).ids[0])
        val error = assertThrows(IllegalArgumentException::class.java) { fields.encode(mapOf("city" to 5.0)) }
        assertEquals("The field `city` must hold a text. Received: 5.0.", error.message)
    }

    @Test
    fun fieldsOfOneTableShareItsVocabulary() {
        val categories = file(intact).fields.filterIsInstance<CategoryField>().associateBy { it.name }
        assertTrue(categories["city"]!!.vocabulary === categories["home"]!!.vocabulary)
        assertEquals("red", categories["tags"]!!.vocabulary.item(2))
        assertEquals(listOf(null, "|"), listOf("city", "tags").map { categories[it]!!.separator })
    }

    @Test
    fun whatIsDamagedIsRefused() {
        for (case in golden["damaged"].asJsonArray.map { it.asJsonObject }) {
            assertProblem(Problem.DAMAGED, case["name"].asString) { file(bytes(case["hex"])) }
        }
        assertProblem(Problem.DAMAGED, "no member") { file(null) }
        val later = intact.clone().also { it[4] = 2 }
        assertProblem(Problem.LATER_VERSION, "later version") { file(later) }
    }

    @Test
    fun fieldsThatAreNotThoseOfTheMemberAreRefused() {
        val described = golden["fields"].toString()
        val changes = mapOf(
            "another size" to described.replaceFirst("\"input_dim\":8", "\"input_dim\":9"),
            "another fingerprint" to described.replaceFirst("fingerprint\":\"", "fingerprint\":\"0"),
            "another table" to described.replaceFirst("cities", "towns"),
            "two of one name" to described.replaceFirst("\"city\"", "\"home\""),
            "no list" to "null",
        )
        for ((name, changed) in changes) {
            assertTrue(name, changed != described)
            assertProblem(Problem.DAMAGED, name) { TestFile.ofRows(changed, intact).read() }
        }
        assertProblem(Problem.DAMAGED, "no fields") { TestFile.ofRows("[]", null).read() }
        val numbers = """[{"name": "age", "holds": "numbers"}]"""
        assertProblem(Problem.DAMAGED, "no categories") { TestFile.ofRows(numbers, intact).read() }
    }

    @Test
    fun idsOfUnknownValuesMustBeTheirs() {
        val vocabulary = TestVocabulary.bytes(listOf("a"), firstId = 1)
        val content = "MFLD".toByteArray() + byteArrayOf(1, 0, 0, 0, 1, 0, 0, 0, vocabulary.size.toByte(), 0, 0, 0) + vocabulary
        val described = """[{"name": "a", "holds": "categories", "table": "a", "input_dim": 2,
            "vocabulary_fingerprint": "${TestVocabulary.FINGERPRINT}"}]"""
        assertProblem(Problem.DAMAGED, "no id of unknown ones") { TestFile.ofRows(described, content).read() }
        content[16 + 41] = 2
        assertEquals(1, (TestFile.ofRows(described.replace(": 2,", ": 3,"), content).read() as ScorerFile).fields.size)
    }

    @Test
    fun noDamageThrowsAnythingElse() {
        val random = Random(0)
        var read = 0
        repeat(5000) {
            val damaged = intact.copyOf(intact.size - random.nextInt(2) * random.nextInt(intact.size))
            repeat(random.nextInt(3)) { if (damaged.isNotEmpty()) damaged[random.nextInt(damaged.size)] = random.nextInt().toByte() }
            try {
                file(damaged).fields.encode(mapOf("city" to "Oslo", "tags" to "red|blue"))
                ++read
            } catch (error: ModelFileException) {
                assertTrue(error.message!!.isNotEmpty())
            }
        }
        assertTrue("$read", read > 500)
    }

    private fun assertProblem(problem: Problem, name: String, read: () -> Unit) {
        val error = assertThrows(name, ModelFileException::class.java) { read() }
        assertEquals("$name: ${error.message}", problem, error.problem)
    }
}
