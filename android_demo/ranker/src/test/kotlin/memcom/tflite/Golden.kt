package memcom.tflite

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/** What `memcom golden` wrote of a model file. */
class Golden(json: JsonObject) {
    val sha256: String = json["sha256"].asString
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
        /** The values beside a model file, which must be those of that very file. */
        fun of(model: File): Golden {
            val path = model.resolveSibling("${model.nameWithoutExtension}.golden.json")
            val golden = Golden(JsonParser.parseString(path.readText()).asJsonObject)
            val digest = MessageDigest.getInstance("SHA-256").digest(model.readBytes())
            check(golden.sha256 == digest.joinToString("") { "%02x".format(it) }) { "$path is of another file" }
            return golden
        }

        private fun JsonElement.ints() = (this as JsonArray).map { it.asInt }.toIntArray()
        private fun JsonElement.floats() = (this as JsonArray).map { it.asFloat }.toFloatArray()
    }
}

/** A file in memory that native code may read. */
fun direct(file: File): ByteBuffer {
    val bytes = file.readBytes()
    return ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).apply {
        put(bytes)
        rewind()
    }
}
