package memcom.demo

import android.net.Uri
import memcom.core.History
import memcom.core.Item
import memcom.core.ModelFileException
import memcom.core.Recommendations
import java.io.IOException
import java.util.concurrent.Executor

/** What went wrong with the file of that name. */
class Failure(val name: String, val cause: Throwable)

/**
 * What the screen shows.
 *
 * @property model the open model; null before the first is open
 * @property history what was chosen, in order of time
 * @property recommendations the list after [history] and [row]; null until the first is ranked, and where a text
 *   of [row] is no number where it should be one
 * @property choice which list a person wants to see
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
    val choice: ListChoice = ListChoice(),
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
    private var lastShown: Failure? = null

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

    /** Opens what a person chose in the system's picker, or what another app handed over. */
    fun open(document: Uri) = inBackground(document.lastPathSegment.orEmpty(), { models.document(document) }) { found ->
        if (found != null) open(found)
    }

    /** Deletes the file that was opened last, and goes back to the first of the package. */
    fun forget() = inBackground("", { models.forget() }) {
        open(models.bundled.first())
    }

    /** Says that something cannot be used. */
    fun fail(name: String, cause: Exception) = show(state.copy(failure = Failure(name, cause)))

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
        if (item !in state.choice.hidden) choose(state.choice.run { copy(hidden = hidden + item) })
    }

    /** Takes the item that was hidden last into the list again. */
    fun showHidden() = choose(state.choice.run { copy(hidden = hidden.dropLast(1)) })

    /** Ranks only the items whose titles fit words; "" ranks all. */
    fun only(words: String) = choose(state.choice.copy(only = words.trim()))

    /** Ranks only the items that have a value of a grouping; null ranks all. */
    fun group(name: String, value: String?) = choose(
        state.choice.run { copy(groups = if (value == null) groups - name else groups + (name to value)) },
    )

    /** Makes the list so long. */
    fun length(items: Int) = choose(state.choice.copy(length = items))

    /** Whether a failure has not been shown yet; asking shows it. */
    fun isNew(failure: Failure): Boolean = (failure !== lastShown).also { lastShown = failure }

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

    private fun choose(choice: ListChoice) {
        show(state.copy(choice = choice))
        rank()
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
        inBackground(model.source.name, { Listed(model.recommend(asked, before.row, before.choice)) }) { found ->
            if (found != null && asked == history && model == state.model && before.asks(state)) {
                show(state.copy(recommendations = found.list))
            }
        }
    }

    private class Listed(val list: Recommendations?)

    /** Whether two states ask for the same list after the same history. */
    private fun State.asks(other: State) = row == other.row && choice == other.choice

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
