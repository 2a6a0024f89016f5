package memcom.demo

import android.net.Uri
import memcom.core.Catalogue
import memcom.core.History
import memcom.core.Item
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

/**
 * Which list a person wants to see.
 *
 * @property hidden items that it leaves out, the one hidden last at the end
 * @property only words whose titles alone are ranked; "" where all are
 * @property groups by the name of a grouping, the value that alone is ranked, such as "Comedy" of "genres"
 * @property length how many items; null for as many as the file says
 */
data class ListChoice(
    val hidden: List<Item> = emptyList(),
    val only: String = "",
    val groups: Map<String, String> = emptyMap(),
    val length: Int? = null,
)

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

    /** Lengths of a list to choose from: that of the file, and round ones up to the catalogue's. */
    val lengths: List<Int> get() = (ROUND + file.description.listLength).filter { it <= file.vocabulary.size }.distinct().sorted()

    /** Whether a history is part of what it ranks by. */
    val takesHistory get() = file.description.historyLength > 0

    /** Ranks by a history, and by what was typed; null where a text is not what its field holds. */
    fun recommend(history: History, texts: Map<String, String>, choice: ListChoice = ListChoice()): Recommendations? {
        val row = values(texts) ?: return null
        val k = choice.length ?: file.description.listLength
        return recommender.recommend(history, choice.hidden.map { it.id }, choice.candidates(recommender.catalogue, k), row, k)
    }

    /** Of which candidates a choice allows to rank; null for all, where the graph itself makes so long a list. */
    private fun ListChoice.candidates(catalogue: Catalogue, k: Int): Collection<Int>? {
        val chosen = ArrayList<Collection<Int>>()
        if (only.isNotEmpty()) chosen += catalogue.search(only, Int.MAX_VALUE).map { it.id }
        for (grouping in catalogue.groupings) groups[grouping.name]?.let { chosen += grouping.ids(it) }
        if (chosen.isEmpty()) return if (k > file.description.listLength) catalogue.ids else null
        return chosen.drop(1).fold(chosen.first()) { left, others -> left intersect others.toSet() }
    }

    /** The median time of ranking, as [recommend] does. */
    fun medianNanoseconds(history: History, texts: Map<String, String>, runs: Int): Long =
        recommender.medianNanoseconds(history, runs, values(texts).orEmpty())

    override fun close() = recommender.close()

    private fun values(texts: Map<String, String>) = fields.let { if (it == null) emptyMap() else it.values(texts) }

    private companion object {
        val ROUND = listOf(5, 10, 20, 50, 100)
    }
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
