package memcom.demo

import android.net.Uri
import memcom.core.Catalogue
import memcom.core.CategoryField
import memcom.core.Field
import memcom.core.ModelFile
import memcom.core.NumberField
import memcom.core.Recommender
import memcom.core.Scorer
import memcom.core.ScorerFile

/** Where a model comes from; [name] is that of its file. */
sealed class ModelSource {
    abstract val name: String

    /** A file in the app's package. */
    data class Bundled(override val name: String) : ModelSource()

    /** The app's copy of the file that a person opened last. */
    data class Imported(override val name: String) : ModelSource()

    /** A file that a person chose in the system's picker, to be copied into the app. */
    data class Document(override val name: String, val uri: Uri) : ModelSource()
}

/** A model that is ready to use. */
sealed class OpenModel(val source: ModelSource) : AutoCloseable {
    abstract val file: ModelFile

    /**
     * This model, as one that ranks.
     *
     * @throws memcom.core.ModelFileException if it does not
     */
    fun ranker(): OpenRanker {
        file.ranker()
        return this as OpenRanker
    }
}

/** A model that ranks its catalogue. */
class OpenRanker(source: ModelSource, val recommender: Recommender) : OpenModel(source) {
    override val file get() = recommender.file

    override fun close() = recommender.close()
}

/** A model that scores rows. */
class OpenScorer(source: ModelSource, override val file: ScorerFile, private val scorer: Scorer) : OpenModel(source) {
    private val catalogues =
        file.fields.filterIsInstance<CategoryField>().associate { it.name to Catalogue(it.vocabulary) }

    /** Scores a row as a person types it: texts by field, of which an empty one is missing. */
    fun score(texts: Map<String, String>): Score {
        val start = System.nanoTime()
        val row = try {
            file.fields.encode(file.fields.associate { it.name to it.value(texts[it.name].orEmpty()) })
        } catch (_: IllegalArgumentException) {
            return Score(null, 0)
        }
        return Score(scorer.score(row), System.nanoTime() - start)
    }

    /** Categories of a field that fit a text, the most frequent first. */
    fun suggestions(field: CategoryField, text: String): List<String> =
        catalogues.getValue(field.name).search(text, SUGGESTIONS).map { it.title }

    override fun close() = scorer.close()

    // A text that is no number is left one, which is refused.
    private fun Field.value(text: String): Any? = when {
        this !is NumberField -> text
        text.isBlank() -> null
        else -> text.toDoubleOrNull() ?: text
    }

    private companion object {
        const val SUGGESTIONS = 6
    }
}

/**
 * What a model says of a row, with what it cost.
 *
 * @property probability null of a row with a text where a number should be
 * @property nanoseconds time of looking categories up and scoring
 */
data class Score(val probability: Float?, val nanoseconds: Long)
