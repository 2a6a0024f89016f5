package memcom.tflite

import memcom.core.ModelFileException
import memcom.core.Ranker
import memcom.core.RankerFile
import memcom.core.Ranking

/**
 * Ranks with TensorFlow Lite.
 *
 * @param file the model; its `graph` must be a direct or mapped buffer
 * @param threads threads of the runtime
 * @throws ModelFileException if the runtime refuses the graph
 */
class TfliteRanker(file: RankerFile, threads: Int = 1) : Ranker {
    private val runtime = Runtime(file, listOf(RANK, SCORE, EMBED), threads)
    private val listLength = runtime.outputs(RANK).getValue("ids")[0]
    private val width = runtime.outputs(EMBED).getValue("vectors")[1]
    private val outputSignature =
        if (EMBED_OUTPUT in file.description.signatures) EMBED_OUTPUT else EMBED
    override val historyLength = runtime.inputs(RANK).getValue("history")[1]

    override fun rank(history: IntArray): Ranking {
        val ids = IntArray(listLength)
        val scores = FloatArray(listLength)
        runtime.run(RANK, mapOf("history" to arrayOf(history)), mapOf("ids" to ids, "scores" to scores))
        return Ranking(ids, scores)
    }

    override fun score(history: IntArray, candidates: IntArray): FloatArray {
        val scores = FloatArray(candidates.size)
        val inputs = mapOf("history" to arrayOf(history), "candidates" to candidates)
        runtime.run(SCORE, inputs, mapOf("scores" to scores))
        return scores
    }

    override fun vectors(ids: IntArray): Array<FloatArray> = embed(EMBED, ids)

    override fun outputVectors(ids: IntArray): Array<FloatArray> = embed(outputSignature, ids)

    override fun close() = runtime.close()

    private fun embed(signature: String, ids: IntArray): Array<FloatArray> {
        val vectors = Array(ids.size) { FloatArray(width) }
        runtime.run(signature, mapOf("ids" to ids), mapOf("vectors" to vectors))
        return vectors
    }

    private companion object {
        const val RANK = "rank"
        const val SCORE = "score"
        const val EMBED = "embed"
        const val EMBED_OUTPUT = "embed_output"
    }
}
