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
 * @property recommendations the list after [history]; null until the first is ranked
 * @property matches titles that fit what is searched for
 * @property row what was typed, by field of a model of rows
 * @property score what the model says of [row]; null until the first is scored
 * @property opening whether a model is being opened
 * @property failure what went wrong last, until dismissed
 */
data class State(
    val model: OpenModel? = null,
    val history: List<Item> = emptyList(),
    val recommendations: Recommendations? = null,
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

    /** Types a text into a field of a row. */
    fun fill(field: String, text: String) {
        if (state.row[field].orEmpty() == text) return
        show(state.copy(row = state.row + (field to text)))
        score()
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
                history = History(opened.file.vocabulary.idsOf(memory.history))
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
        memory.history = asked.ids.map { model.file.vocabulary.item(it) }
        show(state.copy(history = asked.ids.map { model.recommender.catalogue[it] }))
        inBackground(model.source.name, { model.recommender.recommend(asked) }) { ranked ->
            if (ranked != null && asked == history && model == state.model) {
                show(state.copy(recommendations = ranked))
            }
        }
    }

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
