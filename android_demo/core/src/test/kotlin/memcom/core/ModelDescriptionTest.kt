package memcom.core

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonNull
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import com.google.gson.JsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.math.BigInteger

/** The description of a file is read as the converter's schema specifies it. */
class ModelDescriptionTest {
    private val schema = JsonParser.parseString(File("../../converters/model_file/description.schema.json").readText()).asJsonObject
    private val embeddingSchema = schema.part("properties", "embeddings", "items")
    private val fieldSchema = schema.part("properties", "fields", "items")

    @Test
    fun aDescriptionByTheSchemaIsRead() {
        val found = ModelDescription.read(example().toString().reader())
        assertEquals("ranker", found.kind)
        assertEquals(listOf("a"), found.signatures)
        assertEquals(listOf(1, 0, 1, 1), found.run { listOf(listLength, historyLength, inputDim, outputDim) })
    }

    @Test
    fun whatIsReadIsRequiredByTheSchemaAndRefusedWhereItIsNotSo() {
        check(ModelDescription.FIELDS, schema) { it }
        check(ModelDescription.RANKER_FIELDS, schema.part("then")) { it }
        check(ModelDescription.EMBEDDING_FIELDS, embeddingSchema) { it["embeddings"].asJsonArray[0].asJsonObject }
        check(FieldDescription.FIELDS, fieldSchema) { it.firstField() }
    }

    @Test
    fun whatIsOptionalIsReadAsTheSchemaSpecifiesItToo() {
        for (name in ModelDescription.OPTIONAL_FIELDS) {
            assertTrue(name, name !in schema["required"].asJsonArray.map { it.asString })
            val minimum = schema.part("properties", name)["minimum"].asLong
            assertRefused(name) { it.addProperty(name, minimum - 1) }
            assertRefused(name) { it.addProperty(name, 0.5) }
            assertRefused(name) { it.addProperty(name, "x") }
            assertRefused(name) { it.add(name, JsonNull.INSTANCE) }
        }
        assertEquals(0, ModelDescription.read(example().toString().reader()).modelVersion)
        val fifth = example().apply { addProperty("model_version", 5) }
        assertEquals(5, ModelDescription.read(fifth.toString().reader()).modelVersion)
    }

    @Test
    fun aFieldOfCategoriesHasATable() {
        for (name in FieldDescription.CATEGORY_FIELDS) {
            assertTrue(name, fieldSchema.part("properties").has(name))
            assertRefused(name) { it.firstField().remove(name) }
        }
        for (name in listOf("length", "input_dim")) {
            val range = fieldSchema.part("properties", name)
            assertRefused(name) { it.firstField().addProperty(name, range["minimum"].asLong - 1) }
            assertRefused(name) { it.firstField().addProperty(name, range["maximum"].asBigInteger + BigInteger.ONE) }
            assertRefused(name) { it.firstField().addProperty(name, "x") }
        }
        assertRefused("separator") { it.firstField().addProperty("separator", "") }
        assertRefused("holds") { it.firstField().addProperty("holds", "texts") }
    }

    @Test
    fun aFieldOfNumbersNeedsNoTable() {
        val description = example()
        FieldDescription.CATEGORY_FIELDS.forEach { description.firstField().remove(it) }
        description.firstField().addProperty("holds", "numbers")
        val field = ModelDescription.read(description.toString().reader()).fields!!.single()
        assertEquals(FieldDescription("a", 1, null, null, 0, null), field)
    }

    private fun check(fields: List<String>, schema: JsonObject, part: (JsonObject) -> JsonObject) {
        val required = schema["required"].asJsonArray.map { it.asString }
        for (name in fields) {
            assertTrue(name, name in required)
            assertRefused(name) { part(it).remove(name) }
            val minimum = schema.part("properties", name)["minimum"] ?: continue
            assertRefused(name) { part(it).addProperty(name, "x") }
            assertRefused(name) { part(it).addProperty(name, 0.5) }
            assertRefused(name) { part(it).add(name, JsonNull.INSTANCE) }
            if (name != "graph_crc32") assertRefused(name) { part(it).addProperty(name, minimum.asLong - 1) }
        }
    }

    private fun assertRefused(name: String, change: (JsonObject) -> Unit) {
        val description = example().also(change)
        assertThrows("$name: $description", IllegalArgumentException::class.java) {
            ModelDescription.read(description.toString().reader())
        }
    }

    /** A ranker's description with a value of each required field. */
    private fun example(): JsonObject {
        val description = fill(schema)
        fill(schema.part("then")).entrySet().forEach { (name, value) -> description.add(name, value) }
        description.addProperty("kind", "ranker")
        description.add("signatures", JsonArray().apply { add("a") })
        description.addProperty("graph_crc32", 1)
        description.add("embeddings", JsonArray().apply { add(fill(embeddingSchema)) })
        val field = fill(fieldSchema).apply {
            FieldDescription.CATEGORY_FIELDS.forEach { add(it, valueOf(fieldSchema.part("properties", it))) }
        }
        description.add("fields", JsonArray().apply { add(field) })
        return description
    }

    private fun JsonObject.firstField() = get("fields").asJsonArray[0].asJsonObject

    private fun fill(schema: JsonObject) = JsonObject().apply {
        for (name in schema["required"].asJsonArray.map { it.asString }) add(name, valueOf(schema.part("properties", name)))
    }

    private fun valueOf(schema: JsonObject): JsonElement = when {
        schema.has("const") -> schema["const"]
        schema.has("enum") -> schema["enum"].asJsonArray.first()
        schema.has("anyOf") -> valueOf(schema["anyOf"].asJsonArray.last().asJsonObject)
        else -> when (schema["type"].let { if (it.isJsonArray) it.asJsonArray[0] else it }.asString) {
            "integer" -> schema["minimum"]
            "boolean" -> JsonPrimitive(true)
            "array" -> JsonArray()
            else -> JsonPrimitive("a")
        }
    }

    private fun JsonObject.part(vararg names: String) = names.fold(this) { at, name -> at[name].asJsonObject }
}
