package memcom.demo

import android.content.Context
import android.text.format.Formatter
import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.RankerFile
import memcom.core.ScorerFile
import java.io.IOException

/** Sizes, times and failures in the words of the screen. */
class Texts(private val context: Context) {
    fun size(bytes: Int): String = Formatter.formatShortFileSize(context, bytes.toLong())

    fun milliseconds(nanoseconds: Long): String =
        context.getString(R.string.milliseconds, nanoseconds / 1e6)

    /** Catalogue size, file size, time to rank. */
    fun statistics(file: RankerFile, nanoseconds: Long): String {
        val count = file.vocabulary.size
        val titles = context.resources.getQuantityString(R.plurals.titles, count, count)
        return context.getString(R.string.statistics, titles, size(file.bytes), milliseconds(nanoseconds))
    }

    /** Number of fields, file size, time to score. */
    fun statistics(file: ScorerFile, nanoseconds: Long): String {
        val count = file.fields.size
        val fields = context.resources.getQuantityString(R.plurals.fields, count, count)
        return context.getString(R.string.score_statistics, fields, size(file.bytes), milliseconds(nanoseconds))
    }

    fun probability(probability: Float): String = context.getString(R.string.probability_percent, 100 * probability)

    /** What a person can do about a failure. */
    fun advice(failure: Failure): String = context.getString(
        when (val cause = failure.cause) {
            is ModelFileException -> return context.getString(advice(cause.problem), cause.named)
            is OutOfMemoryError -> R.string.out_of_memory
            is IOException, is SecurityException -> R.string.not_readable
            else -> throw failure.cause
        },
    )

    private fun advice(problem: Problem): Int = when (problem) {
        Problem.NOT_TFLITE -> R.string.not_tflite
        Problem.NO_DESCRIPTION -> R.string.no_description
        Problem.DAMAGED -> R.string.damaged
        Problem.LATER_VERSION -> R.string.later_version
        Problem.EARLIER_VERSION -> R.string.earlier_version
        Problem.OLDER_MODEL -> R.string.older_model
        Problem.TOO_LARGE -> R.string.too_large
        Problem.NOT_A_RANKER -> R.string.not_a_ranker
        Problem.OTHER_MODEL -> R.string.other_model
        Problem.NO_VOCABULARY -> R.string.no_vocabulary
        Problem.OTHER_INPUT -> R.string.other_input
        Problem.REFUSED_BY_RUNTIME -> R.string.refused_by_runtime
    }
}
