package memcom.demo

import android.net.Uri
import memcom.core.History
import memcom.core.ModelFile
import memcom.core.Recommendations
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

    /** The fields that a person fills in; null of a model that takes none. */
    abstract val fields: TypedFields?

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
    override val fields = file.fields?.let { TypedFields(it) }

    /** Whether a history is part of what it ranks by. */
    val takesHistory get() = file.description.historyLength > 0

    /** Ranks by a history, and by what was typed; null where a text is not what its field holds. */
    fun recommend(history: History, texts: Map<String, String>, exclude: Collection<Int>, only: Collection<Int>?): Recommendations? {
        val row = values(texts) ?: return null
        return recommender.recommend(history, exclude, only, row)
    }

    /** The median time of ranking, as [recommend] does. */
    fun medianNanoseconds(history: History, texts: Map<String, String>, runs: Int): Long =
        recommender.medianNanoseconds(history, runs, values(texts).orEmpty())

    override fun close() = recommender.close()

    private fun values(texts: Map<String, String>) = fields.let { if (it == null) emptyMap() else it.values(texts) }
}

/** A model that scores rows. */
class OpenScorer(source: ModelSource, override val file: ScorerFile, private val scorer: Scorer) : OpenModel(source) {
    override val fields = TypedFields(file.fields)

    /** Scores a row as a person types it. */
    fun score(texts: Map<String, String>): Score {
        val start = System.nanoTime()
        val row = fields.values(texts) ?: return Score(null, 0)
        return Score(scorer.score(file.fields.encode(row)), System.nanoTime() - start)
    }

    override fun close() = scorer.close()
}

/**
 * What a model says of a row, with what it cost.
 *
 * @property probability null of a row with a text where a number should be
 * @property nanoseconds time of looking categories up and scoring
 */
data class Score(val probability: Float?, val nanoseconds: Long)
