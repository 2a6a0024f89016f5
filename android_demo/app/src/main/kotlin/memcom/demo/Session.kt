package memcom.demo

import android.net.Uri
import memcom.core.History
import memcom.core.Item
import memcom.core.ModelFileException
import memcom.core.Recommendations
import java.io.IOException
import java.util.concurrent.Executor

/** What went wrong with the file of that name. */
data class Failure(val name: String, val cause: Throwable)

/**
 * What the screen shows.
 *
 * @property model the open model; null before the first is open
 * @property history what was chosen, in order of time
 * @property recommendations the list after [history] and [row]; null until the first is ranked, and where a text
 *   of [row] is no number where it should be one
 * @property hidden items that the list leaves out, the one hidden last at the end
 * @property only words whose titles alone are ranked; "" where all are
 * @property matches titles that fit what is searched for
 * @property row what was typed, by field of the model
 * @property score what the model says of [row]; null until the first is scored
 * @property opening whether a model is being opened
 * @property failure what went wrong last, until dismissed
 */
data class State(
    val model: OpenModel? = null,
    val history: List<Item> = emptyList(),
    val recommendations: Recommendations? = null,
    val hidden: List<Item> = emptyList(),
    val only: String = "",
    val matches: List<Item> = emptyList(),
    val row: Map<String, String> = emptyMap(),
    val score: Score? = null,
    val opening: Boolean = false,
    val failure: Failure? = null,
) {
    /** The open model, if it ranks. */
    val ranker: OpenRanker? get() = model as? OpenRanker
}

/**
 * The app without its screens: lives as long as the process, and is used from the main thread.
 *
 * @param models the models to open
 * @param memory what outlives the process
 * @param worker runs one task after the other, off the main thread
 * @param main runs tasks on the main thread
 */
class Session(
    val models: ModelStore,
    private val memory: Memory,
    private val worker: Executor,
    private val main: Executor,
) {
    var state = State()
        private set

    private val observers = LinkedHashSet<(State) -> Unit>()
    private var history = History()
    private var query = ""

    /** Calls [observer] now and whenever the state changes. */
    fun observe(observer: (State) -> Unit) {
        observers += observer
        observer(state)
    }

    fun ignore(observer: (State) -> Unit) {
        observers -= observer
    }

    /** Opens the model of last time, or the first of the package. */
    fun start() {
        val source = memory.source ?: models.bundled.firstOrNull()
        if (source != null) open(source)
    }

    /** Opens what a person chose in the system's picker. */
    fun open(document: Uri) = inBackground(document.toString(), { models.document(document) }) { found ->
        if (found != null) open(found)
    }

    fun open(source: ModelSource) {
        show(state.copy(opening = true, failure = null))
        inBackground(source.name, { models.open(source) }) { opened ->
            if (opened == null) {
                show(state.copy(opening = false))
                // The file of last time may be gone or too large by now: there is always another.
                val fallback = models.bundled.firstOrNull()
                if (state.model == null && fallback != null && source != fallback) openAfterFailure(fallback)
            } else {
                use(opened)
            }
        }
    }

    fun add(id: Int) = change(history + id)

    fun remove(id: Int) = change(history - id)

    fun search(text: String) {
        query = text
        val catalogue = state.ranker?.recommender?.catalogue ?: return
        inBackground(text, { catalogue.search(text, MATCHES) }) { found ->
            if (text == query && found != null && catalogue == state.ranker?.recommender?.catalogue) {
                show(state.copy(matches = found))
            }
        }
    }

    /** Types a text into a field. */
    fun fill(field: String, text: String) {
        if (state.row[field].orEmpty() == text) return
        show(state.copy(row = state.row + (field to text)))
        if (state.ranker == null) score() else rank()
    }

    /** Leaves an item out of the list. */
    fun hide(item: Item) {
        if (item in state.hidden) return
        show(state.copy(hidden = state.hidden + item))
        rank()
    }

    /** Takes the item that was hidden last into the list again. */
    fun showHidden() {
        show(state.copy(hidden = state.hidden.dropLast(1)))
        rank()
    }

    /** Ranks only the items whose titles fit words; "" ranks all. */
    fun only(words: String) {
        show(state.copy(only = words.trim()))
        rank()
    }

    fun dismissFailure() = show(state.copy(failure = null))

    /** Runs [task] off the main thread; [done] gets its result, or null after a failure was shown. */
    fun <T : Any> inBackground(name: String, task: () -> T, done: (T?) -> Unit) = worker.execute {
        var result: T? = null
        var failure: Failure? = null
        try {
            result = task()
        } catch (error: ModelFileException) {
            failure = Failure(name, error)
        } catch (error: IOException) {
            failure = Failure(name, error)
        } catch (error: SecurityException) { // a document whose owner has second thoughts
            failure = Failure(name, error)
        } catch (error: OutOfMemoryError) {
            failure = Failure(name, error)
        }
        main.execute {
            if (failure != null) show(state.copy(failure = failure))
            done(result)
        }
    }

    private fun openAfterFailure(source: ModelSource) {
        val failure = state.failure
        open(source)
        show(state.copy(failure = failure))
    }

    private fun use(opened: OpenModel) {
        val before = state.model
        memory.source = opened.source
        show(State(model = opened, failure = state.failure))
        // Behind what the worker still has to do with it.
        if (before != null) worker.execute { before.close() }
        when (opened) {
            is OpenRanker -> {
                history = History(if (opened.takesHistory) opened.file.vocabulary.idsOf(memory.history) else emptyList())
                rank()
                search(query)
            }
            is OpenScorer -> score()
        }
    }

    private fun change(changed: History) {
        history = changed
        rank()
    }

    private fun rank() {
        val model = state.ranker ?: return
        val asked = history
        if (model.takesHistory) memory.history = asked.ids.map { model.file.vocabulary.item(it) }
        show(state.copy(history = asked.ids.map { model.recommender.catalogue[it] }))
        val before = state
        inBackground(model.source.name, { Listed(ranked(model, asked, before)) }) { found ->
            if (found != null && asked == history && model == state.model && before.asks(state)) {
                show(state.copy(recommendations = found.list))
            }
        }
    }

    private class Listed(val list: Recommendations?)

    private fun ranked(model: OpenRanker, history: History, asked: State): Recommendations? {
        val only = asked.only.ifEmpty { null }?.let { words -> model.recommender.catalogue.search(words, Int.MAX_VALUE).map { it.id } }
        return model.recommend(history, asked.row, asked.hidden.map { it.id }, only)
    }

    /** Whether two states ask for the same list after the same history. */
    private fun State.asks(other: State) = row == other.row && hidden == other.hidden && only == other.only

    private fun score() {
        val model = state.model as? OpenScorer ?: return
        val asked = state.row
        inBackground(model.source.name, { model.score(asked) }) { scored ->
            if (scored != null && asked == state.row && model == state.model) show(state.copy(score = scored))
        }
    }

    private fun show(changed: State) {
        state = changed
        observers.toList().forEach { it(changed) }
    }

    private companion object {
        const val MATCHES = 60
    }
}
