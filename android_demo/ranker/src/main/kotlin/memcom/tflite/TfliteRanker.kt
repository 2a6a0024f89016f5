package memcom.tflite

import memcom.core.ModelFile
import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.Ranker
import memcom.core.Ranking
import org.tensorflow.lite.Interpreter

/**
 * Ranks with TensorFlow Lite.
 *
 * @param file the model; its `graph` must be a direct or mapped buffer
 * @param threads threads of the runtime
 * @throws ModelFileException if the runtime refuses the graph
 */
class TfliteRanker(file: ModelFile, threads: Int = 1) : Ranker {
    private val interpreter = open(file, threads)
    private val listLength = interpreter.getOutputTensorFromSignature("ids", RANK).shape()[0]
    private val width = interpreter.getOutputTensorFromSignature("vectors", EMBED).shape()[1]
    private val outputSignature =
        if (EMBED_OUTPUT in file.description.signatures) EMBED_OUTPUT else EMBED
    override val historyLength = interpreter.getInputTensorFromSignature("history", RANK).shape()[1]

    override fun rank(history: IntArray): Ranking {
        val ids = IntArray(listLength)
        val scores = FloatArray(listLength)
        run(RANK, mapOf("history" to arrayOf(history)), mapOf("ids" to ids, "scores" to scores))
        return Ranking(ids, scores)
    }

    override fun score(history: IntArray, candidates: IntArray): FloatArray {
        val scores = FloatArray(candidates.size)
        val inputs = mapOf("history" to arrayOf(history), "candidates" to candidates)
        run(SCORE, inputs, mapOf("scores" to scores))
        return scores
    }

    override fun vectors(ids: IntArray): Array<FloatArray> = embed(EMBED, ids)

    override fun outputVectors(ids: IntArray): Array<FloatArray> = embed(outputSignature, ids)

    override fun close() = interpreter.close()

    private fun embed(signature: String, ids: IntArray): Array<FloatArray> {
        val vectors = Array(ids.size) { FloatArray(width) }
        run(signature, mapOf("ids" to ids), mapOf("vectors" to vectors))
        return vectors
    }

    /** Inputs whose size the model leaves open take that of what they are given. */
    private fun run(signature: String, inputs: Map<String, Any>, outputs: Map<String, Any>) = try {
        interpreter.runSignature(inputs, outputs, signature)
    } catch (error: IllegalArgumentException) { // sizes that are not the graph's
        throw refused(error)
    } catch (error: IllegalStateException) { // such as ids that the tables do not have
        throw refused(error)
    }

    private companion object {
        const val RANK = "rank"
        const val SCORE = "score"
        const val EMBED = "embed"
        const val EMBED_OUTPUT = "embed_output"

        fun open(file: ModelFile, threads: Int): Interpreter = try {
            val interpreter = Interpreter(file.graph, Interpreter.Options().setNumThreads(threads))
            val missing = listOf(RANK, SCORE, EMBED) - interpreter.signatureKeys.toSet()
            require(missing.isEmpty()) { "signatures missing: $missing" }
            interpreter
        } catch (error: IllegalArgumentException) {
            throw refused(error)
        } catch (error: IllegalStateException) {
            throw refused(error)
        }

        fun refused(error: RuntimeException) = ModelFileException(
            Problem.REFUSED_BY_RUNTIME,
            "The file must run on this TensorFlow Lite, which says: ${error.message}. " +
                "Convert the model again.",
            error,
        )
    }
}
