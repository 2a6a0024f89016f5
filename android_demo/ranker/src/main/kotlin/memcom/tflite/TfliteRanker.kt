package memcom.tflite

import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.Query
import memcom.core.Ranker
import memcom.core.RankerFile
import memcom.core.Ranking

/**
 * Ranks with TensorFlow Lite.
 *
 * @param file the model; its `graph` must be a direct or mapped buffer
 * @param threads threads of the runtime
 * @throws ModelFileException if the runtime refuses the graph, or it is another than the file says, or takes an
 *   input that is neither a history nor fields
 */
class TfliteRanker(file: RankerFile, threads: Int = 1) : Ranker {
    private val runtime = Runtime(file, listOf(RANK, SCORE, EMBED), threads)
    private val listLength = file.description.listLength
    private val inputs = runtime.inputs(RANK)
    private val width = runtime.outputs(EMBED).getValue("vectors")[1]
    private val outputSignature =
        if (EMBED_OUTPUT in file.description.signatures) EMBED_OUTPUT else EMBED

    init {
        val described = inputsOf(file)
        (inputs.keys - described.keys).minOrNull()?.let { runtime.refuse(otherInput(it)) }
        // A graph does not take fields that its outputs do not depend on.
        val expected = described.filterKeys { it in inputs || it == HISTORY }
        runtime.check(inputs == expected) { "a query of $inputs, not $expected" }
        val scored = runtime.inputs(SCORE)
        runtime.check(scored - CANDIDATES == inputs && CANDIDATES in scored) { "a query of $scored, not $inputs" }
        val lists = runtime.outputs(RANK)
        runtime.check(lists == listOf("ids", "scores").associateWith { listOf(listLength) }) { "lists of $lists" }
    }

    override fun rank(query: Query): Ranking {
        val ids = IntArray(listLength)
        val scores = FloatArray(listLength)
        runtime.run(RANK, given(query), mapOf("ids" to ids, "scores" to scores))
        return Ranking(ids, scores)
    }

    override fun score(query: Query, candidates: IntArray): FloatArray {
        val scores = FloatArray(candidates.size)
        runtime.run(SCORE, given(query) + (CANDIDATES to candidates), mapOf("scores" to scores))
        return scores
    }

    override fun vectors(ids: IntArray): Array<FloatArray> = embed(EMBED, ids)

    override fun outputVectors(ids: IntArray): Array<FloatArray> = embed(outputSignature, ids)

    override fun close() = runtime.close()

    private fun given(query: Query): Map<String, Any> = query.row.run {
        mapOf(HISTORY to arrayOf(query.history), IDS to arrayOf(ids), NUMBERS to arrayOf(numbers))
    }.filterKeys { it in inputs }

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
        const val HISTORY = "history"
        const val CANDIDATES = "candidates"

        /** Shapes of the inputs of a query that a file describes. */
        fun inputsOf(file: RankerFile): Map<String, List<Int>> = mapOf(HISTORY to listOf(1, file.description.historyLength))
            .filterValues { it[1] > 0 } + file.fields?.let(::inputsOf).orEmpty()

        fun otherInput(name: String) = ModelFileException(
            Problem.OTHER_INPUT,
            "The inputs of a query must be a history, or fields that the file describes. Received: input='$name'. " +
                "Such a file is ranked with from Python alone.",
            named = name,
        )
    }
}
