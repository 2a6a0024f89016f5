package memcom.tflite

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import memcom.core.Ranking
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertTrue
import kotlin.math.abs

/** What `memcom golden` wrote of a ranker's file. */
class Golden(json: JsonObject) {
    val tolerance: Float = json["tolerance"].asFloat
    val ids: IntArray = json["embed"].asJsonObject["ids"].ints()
    val vectors: List<FloatArray> = json["embed"].asJsonObject["vectors"].asJsonArray.map { it.floats() }
    val cases: List<Case> = json["cases"].asJsonArray.map { Case(it.asJsonObject) }
    val lists: List<Asked> = json["lists"].asJsonArray.map { Asked(it.asJsonObject) }

    /** A query, and the list that it must give. */
    open class Listed(json: JsonObject) {
        val history: List<Int> = json["history"].ints().toList()
        val row: Map<String, Any?> = json["row"]?.let(::rowOf).orEmpty()
        val ids: List<Int> = json["ids"].ints().toList()
        val scores: FloatArray = json["scores"].floats()
    }

    class Case(json: JsonObject) : Listed(json) {
        val candidates: IntArray = json["candidates"].ints()
        val candidateScores: FloatArray = json["candidate_scores"].floats()
    }

    class Asked(json: JsonObject) : Listed(json) {
        val k: Int = json["k"].asInt
        val exclude: List<Int> = json["exclude"].ints().toList()
        val candidates: List<Int>? = json["candidates"].takeUnless { it.isJsonNull }?.ints()?.toList()
    }

    companion object {
        /** The values beside a model file. */
        fun of(model: File) = Golden(goldenOf(model))
    }
}

/** What it wrote of the file of a model of rows. */
class GoldenRows(json: JsonObject) {
    val tolerance: Float = json["tolerance"].asFloat
    val rows: List<Map<String, Any?>> = json["rows"].asJsonArray.map(::rowOf)
    val outputs: FloatArray = json["outputs"].floats()

    companion object {
        /** The values beside a model file. */
        fun of(model: File) = GoldenRows(goldenOf(model))
    }
}

/** What it wrote of the file of a model that gives vectors of texts. */
class GoldenTexts(json: JsonObject) {
    val tolerance: Float = json["tolerance"].asFloat
    val texts: List<String?> = json["rows"].asJsonArray.map { rowOf(it).values.single() as String? }
    val vectors: List<FloatArray> = json["outputs"].asJsonArray.map { it.floats() }

    companion object {
        /** The values beside a model file. */
        fun of(model: File) = GoldenTexts(goldenOf(model))
    }
}

private fun rowOf(json: JsonElement): Map<String, Any?> = json.asJsonObject.asMap().mapValues { (_, value) ->
    when {
        value.isJsonNull -> null
        value.asJsonPrimitive.isNumber -> value.asNumber
        else -> value.asString
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
    assertArrayEquals(what, expected, found, allowed(expected, tolerance))
}

/** Equal scores may change places, nothing else. */
fun assertSameList(what: String, expected: Golden.Listed, found: Ranking, tolerance: Float) {
    assertClose("$what: scores", expected.scores, found.scores, tolerance)
    val scoreOf = expected.ids.zip(expected.scores.toList()).toMap()
    found.ids.forEachIndexed { place, id ->
        val isTied = scoreOf[id]?.let { abs(it - expected.scores[place]) <= allowed(expected.scores, tolerance) } ?: false
        assertTrue("$what: ${found.ids.toList()}, not ${expected.ids}", id == expected.ids[place] || isTied)
    }
}

private fun allowed(expected: FloatArray, tolerance: Float) = tolerance * maxOf(1f, expected.maxOfOrNull { abs(it) } ?: 0f)

fun folder(property: String) = File(System.getProperty(property)!!)

/** A file in memory that native code may read. */
fun direct(file: File): ByteBuffer {
    val bytes = file.readBytes()
    return ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).apply {
        put(bytes)
        rewind()
    }
}
