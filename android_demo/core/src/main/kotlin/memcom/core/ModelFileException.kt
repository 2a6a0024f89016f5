package memcom.core

/** What is wrong with a file; an app has a sentence for each. */
enum class Problem {
    /** Not a TensorFlow Lite file. */
    NOT_TFLITE,

    /** A TensorFlow Lite file, but cut off or not written by `memcom convert`. */
    NO_DESCRIPTION,

    /** Bytes have changed since the file was written. */
    DAMAGED,

    /** Written in a later format than this code reads. */
    LATER_VERSION,

    /** Written in an earlier format than this code reads. */
    EARLIER_VERSION,

    /** An older file of the model whose place it should take. */
    OLDER_MODEL,

    /** More bytes than a runtime can map. */
    TOO_LARGE,

    /** A model of another kind, where one that ranks is asked for. */
    NOT_A_RANKER,

    /** A model that neither ranks nor takes rows of categories and numbers. */
    OTHER_MODEL,

    /** Converted without a vocabulary: ids, but nothing to call them. */
    NO_VOCABULARY,

    /** A ranker that asks for more than a history and fields, which is named. */
    OTHER_INPUT,

    /** Refused by the TensorFlow Lite runtime, such as for an operator that it does not know. */
    REFUSED_BY_RUNTIME,
}

/**
 * Thrown for a file that cannot be used; the message says what must hold and what was found.
 *
 * @property named what the problem names, such as an input
 */
class ModelFileException(
    val problem: Problem,
    message: String,
    cause: Throwable? = null,
    val named: String = "",
) : Exception(message, cause)
