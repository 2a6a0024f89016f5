package memcom.tflite

import memcom.core.ModelFileException
import memcom.core.TextVectorsFile

/**
 * Gives the vectors of texts with TensorFlow Lite; their products with a ranker's query are scores. Not safe for use by
 * several threads at once.
 *
 * @param file the model; its `graph` must be a direct or mapped buffer
 * @param threads threads of the runtime
 * @throws ModelFileException if the runtime refuses the graph, or it is another than the file says
 */
class TfliteTextVectors(private val file: TextVectorsFile, threads: Int = 1) : AutoCloseable {
    private val runtime = Runtime(file, listOf(SERVE), threads)
    private val width = file.description.outputDim
    private val output: String

    init {
        val inputs = runtime.inputs(SERVE)
        val expected = mapOf(IDS to listOf(1, file.texts.length))
        val outputs = runtime.outputs(SERVE)
        runtime.check(inputs == expected) { "texts of $inputs, not $expected" }
        runtime.check(outputs.values.toList() == listOf(listOf(1, width))) { "vectors of $outputs" }
        output = outputs.keys.single()
    }

    /** The vector of a text; null, and one without a letter or number, have that of nothing known. */
    fun vectorOf(text: String?): FloatArray {
        val vectors = arrayOf(FloatArray(width))
        runtime.run(SERVE, mapOf(IDS to arrayOf(file.texts.encode(text))), mapOf(output to vectors))
        return vectors[0]
    }

    override fun close() = runtime.close()

    private companion object {
        const val SERVE = "serving_default"
    }
}
