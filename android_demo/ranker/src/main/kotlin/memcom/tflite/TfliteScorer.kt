package memcom.tflite

import memcom.core.ModelFileException
import memcom.core.RowInputs
import memcom.core.Scorer
import memcom.core.ScorerFile

/**
 * Scores rows with TensorFlow Lite.
 *
 * @param file the model; its `graph` must be a direct or mapped buffer
 * @param threads threads of the runtime
 * @throws ModelFileException if the runtime refuses the graph, or it takes other rows than the file says
 */
class TfliteScorer(file: ScorerFile, threads: Int = 1) : Scorer {
    private val runtime = Runtime(file, listOf(SERVE), threads)
    private val inputs = runtime.inputs(SERVE)
    private val output: String

    init {
        val expected = inputsOf(file.fields)
        val outputs = runtime.outputs(SERVE)
        runtime.check(inputs == expected) { "rows of $inputs, not $expected" }
        runtime.check(outputs.values.toList() == listOf(listOf(1, 1))) { "outputs of $outputs" }
        output = outputs.keys.single()
    }

    override fun score(row: RowInputs): Float {
        val given = mapOf(IDS to arrayOf(row.ids), NUMBERS to arrayOf(row.numbers)).filterKeys { it in inputs }
        val scores = arrayOf(FloatArray(1))
        runtime.run(SERVE, given, mapOf(output to scores))
        return scores[0][0]
    }

    override fun close() = runtime.close()

    private companion object {
        const val SERVE = "serving_default"
    }
}
