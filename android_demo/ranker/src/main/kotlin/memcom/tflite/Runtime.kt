package memcom.tflite

import memcom.core.Fields
import memcom.core.ModelFile
import memcom.core.ModelFileException
import memcom.core.Problem
import org.tensorflow.lite.Interpreter

/**
 * The signatures of a file on TensorFlow Lite; what it refuses is a [ModelFileException].
 *
 * @param file the model; its `graph` must be a direct or mapped buffer
 * @param needed signatures that it must have
 * @param threads threads of the runtime
 */
internal class Runtime(file: ModelFile, needed: List<String>, threads: Int) : AutoCloseable {
    private val interpreter = refusing { Interpreter(file.graph, Interpreter.Options().setNumThreads(threads)) }

    init {
        val missing = needed - interpreter.signatureKeys.toSet()
        check(missing.isEmpty()) { "signatures missing: $missing" }
    }

    /** Closes and refuses a file of which something does not hold. */
    fun check(holds: Boolean, message: () -> String) {
        if (!holds) refuse(refused(message()))
    }

    /** Closes and refuses the file. */
    fun refuse(error: ModelFileException): Nothing {
        close()
        throw error
    }

    /** Shapes of the inputs by name; a size that the model leaves open is 1. */
    fun inputs(signature: String): Map<String, List<Int>> = interpreter.getSignatureInputs(signature)
        .associateWith { interpreter.getInputTensorFromSignature(it, signature).shape().toList() }

    /** Those of the outputs. */
    fun outputs(signature: String): Map<String, List<Int>> = interpreter.getSignatureOutputs(signature)
        .associateWith { interpreter.getOutputTensorFromSignature(it, signature).shape().toList() }

    /** Inputs whose size the model leaves open take that of what they are given. */
    fun run(signature: String, inputs: Map<String, Any>, outputs: Map<String, Any>) =
        refusing { interpreter.runSignature(inputs, outputs, signature) }

    override fun close() = interpreter.close()
}

internal const val IDS = "ids"
internal const val NUMBERS = "numbers"

/** Shapes of the inputs that a row of fields is. */
internal fun inputsOf(fields: Fields): Map<String, List<Int>> =
    mapOf(IDS to fields.slots, NUMBERS to fields.numbers).filterValues { it > 0 }.mapValues { (_, size) -> listOf(1, size) }

/** Runs [task], whose refusals are those of the runtime. */
private inline fun <T> refusing(task: () -> T): T = try {
    task()
} catch (error: IllegalArgumentException) { // sizes that are not the graph's
    throw refused(error.message, error)
} catch (error: IllegalStateException) { // such as ids that the tables do not have
    throw refused(error.message, error)
}

private fun refused(reason: String?, cause: RuntimeException? = null) = ModelFileException(
    Problem.REFUSED_BY_RUNTIME,
    "The file must run on this TensorFlow Lite: $reason. Convert the model again.",
    cause,
)
