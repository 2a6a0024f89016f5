package memcom.tflite

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import org.junit.Assert.assertArrayEquals
import kotlin.math.abs

/** What `memcom golden` wrote of a ranker's file. */
class Golden(json: JsonObject) {
    val tolerance: Float = json["tolerance"].asFloat
    val ids: IntArray = json["embed"].asJsonObject["ids"].ints()
    val vectors: List<FloatArray> = json["embed"].asJsonObject["vectors"].asJsonArray.map { it.floats() }
    val cases: List<Case> = json["cases"].asJsonArray.map { Case(it.asJsonObject) }

    class Case(json: JsonObject) {
        val history: List<Int> = json["history"].ints().toList()
        val candidates: IntArray = json["candidates"].ints()
        val candidateScores: FloatArray = json["candidate_scores"].floats()
        val ids: List<Int> = json["ids"].ints().toList()
        val scores: FloatArray = json["scores"].floats()
    }

    companion object {
        /** The values beside a model file. */
        fun of(model: File) = Golden(goldenOf(model))
    }
}

/** What it wrote of the file of a model of rows. */
class GoldenRows(json: JsonObject) {
    val tolerance: Float = json["tolerance"].asFloat
    val rows: List<Map<String, Any?>> = json["rows"].asJsonArray.map { row -> row.asJsonObject.asMap().mapValues { value(it.value) } }
    val outputs: FloatArray = json["outputs"].floats()

    companion object {
        /** The values beside a model file. */
        fun of(model: File) = GoldenRows(goldenOf(model))

        private fun value(json: JsonElement): Any? = when {
            json.isJsonNull -> null
            json.asJsonPrimitive.isNumber -> json.asNumber
            else -> json.asString
        }
    }
}

/** The values must be those of that very file. */
private fun goldenOf(model: File): JsonObject {
    val path = model.resolveSibling("${model.nameWithoutExtension}.golden.json")
    val golden = JsonParser.parseString(path.readText()).asJsonObject
    val digest = MessageDigest.getInstance("SHA-256").digest(model.readBytes())
    check(golden["sha256"].asString == digest.joinToString("") { "%02x".format(it) }) { "$path is of another file" }
    return golden
}

private fun JsonElement.ints() = (this as JsonArray).map { it.asInt }.toIntArray()

private fun JsonElement.floats() = (this as JsonArray).map { it.asFloat }.toFloatArray()

fun assertClose(what: String, expected: FloatArray, found: FloatArray, tolerance: Float) {
    val largest = expected.maxOf { abs(it) }
    assertArrayEquals(what, expected, found, tolerance * maxOf(1f, largest))
}

fun folder(property: String) = File(System.getProperty(property)!!)

/** A file in memory that native code may read. */
fun direct(file: File): ByteBuffer {
    val bytes = file.readBytes()
    return ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).apply {
        put(bytes)
        rewind()
    }
}
