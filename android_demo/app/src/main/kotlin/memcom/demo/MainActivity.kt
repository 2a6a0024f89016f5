package memcom.demo

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.view.inputmethod.InputMethodManager
import android.widget.EditText
import android.widget.ListView
import java.io.IOException

/** Search, history and ranked list of a ranker, or the form of a model of rows. */
class MainActivity : Activity() {
    private val session get() = (application as DemoApplication).session
    private val texts by lazy { Texts(this) }
    private val matches by lazy { MatchAdapter(this) }
    private val ranking by lazy { RecommendationAdapter(this, session::add, session::hide) }
    private val observer: (State) -> Unit = ::show
    private lateinit var chips: HistoryChips
    private lateinit var search: EditText
    private lateinit var header: RankingHeader
    private val failure by lazy { FailureBar(findViewById(R.id.failure), session, texts) }
    private lateinit var form: RowForm
    private lateinit var fields: FieldInputs
    private var compare: MenuItem? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        setActionBar(findViewById(R.id.toolbar))
        drawEdgeToEdge(
            findViewById(R.id.root),
            listOf(R.id.ranking, R.id.matches, R.id.form_scroll).map { findViewById<View>(it) },
        )
        chips = HistoryChips(findViewById(R.id.chips), session::remove)
        setUpLists()
        form = RowForm(findViewById(R.id.form), session, texts)
        fields = FieldInputs(findViewById(R.id.query_fields), session)
        search = findViewById(R.id.search)
        search.onTextChanged { text ->
            session.search(text)
            showPanes(session.state)
        }
        findViewById<View>(R.id.clear_search).setOnClickListener { search.setText("") }
        findViewById<View>(R.id.only_these).setOnClickListener {
            session.only(search.text.toString())
            finishSearch()
        }
        if (session.state.model == null && !session.state.opening) session.start()
        // An activity that is made again, or found among the recent ones, has opened its file before.
        val isOld = savedInstanceState != null || intent.flags and Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY != 0
        if (!isOld) openSent(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        openSent(intent)
    }

    override fun onStart() {
        super.onStart()
        session.observe(observer)
    }

    override fun onStop() {
        session.ignore(observer)
        super.onStop()
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.main, menu)
        compare = menu.findItem(R.id.compare)
        showCompare(session.state)
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        when (item.itemId) {
            R.id.compare -> startActivity(Intent(this, CompareActivity::class.java))
            R.id.choose_model -> chooseModel()
            else -> return super.onOptionsItemSelected(item)
        }
        return true
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val uri = data?.data
        if (requestCode == PICK_FILE && resultCode == RESULT_OK && uri != null) {
            session.open(uri)
        }
    }

    private fun setUpLists() {
        val found = findViewById<ListView>(R.id.matches)
        found.adapter = matches
        found.emptyView = findViewById(R.id.no_matches)
        found.setOnItemClickListener { _, _, position, _ -> choose(position) }
        val ranked = findViewById<ListView>(R.id.ranking)
        header = RankingHeader(layoutInflater.inflate(R.layout.ranking_header, ranked, false), session, texts)
        ranked.addHeaderView(header.view, null, false)
        ranked.adapter = ranking
        ranked.setOnItemClickListener { _, _, position, _ ->
            ranking.toggle(position - ranked.headerViewsCount)
        }
    }

    private fun choose(position: Int) {
        session.add(matches.getItem(position).id)
        finishSearch()
    }

    private fun finishSearch() {
        search.setText("")
        getSystemService(InputMethodManager::class.java).hideSoftInputFromWindow(search.windowToken, 0)
    }

    private fun chooseModel() {
        val bundled = session.models.bundled
        val current = session.state.model?.source
        val choices = ArrayList<Pair<String, () -> Unit>>()
        bundled.mapTo(choices) { it.name to { session.open(it) } }
        if (current is ModelSource.Imported) choices += current.name to { session.open(current) }
        choices += getString(R.string.open_file) to ::pickFile
        if (current is ModelSource.Imported && bundled.isNotEmpty()) {
            choices += getString(R.string.remove_file, current.name) to session::forget
        }
        val chosen = if (current is ModelSource.Imported) bundled.size else bundled.indexOf(current)
        AlertDialog.Builder(this)
            .setTitle(R.string.choose_model)
            .setSingleChoiceItems(choices.map { it.first }.toTypedArray(), chosen) { dialog, which ->
                dialog.dismiss()
                choices[which].second()
            }
            .show()
    }

    /** Opens the file that another app opens or shares with this one, if that is why it was started. */
    private fun openSent(intent: Intent) {
        val uri = when (intent.action) {
            Intent.ACTION_VIEW -> intent.data
            @Suppress("DEPRECATION") // what stands in its place is not there before Android 13
            Intent.ACTION_SEND -> intent.getParcelableExtra<Uri>(Intent.EXTRA_STREAM)
            else -> return
        }
        if (uri == null) {
            session.fail(getString(R.string.what_was_sent), IOException("A file must be sent. Received: $intent."))
        } else {
            session.open(uri)
        }
    }

    private fun pickFile() {
        // Providers know no type for .tflite files.
        val pick = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*")
        startActivityForResult(pick, PICK_FILE)
    }

    private fun show(state: State) {
        val model = state.model
        actionBar?.subtitle = when {
            state.opening -> getString(R.string.opening)
            else -> model?.source?.name ?: getString(R.string.no_model)
        }
        chips.show(state.history)
        val takesHistory = state.ranker?.takesHistory ?: true
        findViewById<View>(R.id.search_box).visible = takesHistory
        findViewById<View>(R.id.history_hint).visible = state.history.isEmpty() && model != null && takesHistory
        matches.show(state.matches - state.history.toSet())
        ranking.show(state.recommendations?.rows.orEmpty(), state.history.isNotEmpty(), takesHistory)
        fields.show(state.ranker, state.row)
        search.hint = state.ranker?.recommender?.catalogue?.size?.let {
            resources.getQuantityString(R.plurals.search_titles, it, it)
        }
        header.show(state)
        failure.show(state.failure)
        showPanes(state)
        showCompare(state)
        findViewById<View>(R.id.ranking_screen).visible = model !is OpenScorer
        form.show(state)
    }

    /** Only lists are compared. */
    private fun showCompare(state: State) {
        compare?.isVisible = state.model !is OpenScorer
    }

    /** Matches and the ranked list share one place, unless the screen is wide. */
    private fun showPanes(state: State) {
        val searching = search.text.isNotBlank()
        val twoPanes = resources.getBoolean(R.bool.two_panes)
        val ranker = state.ranker
        findViewById<View>(R.id.matches_pane).visible = ranker != null && ranker.takesHistory && (twoPanes || searching)
        findViewById<View>(R.id.only_these).visible = searching && state.matches.isNotEmpty()
        findViewById<View>(R.id.query_fields_pane).visible = ranker?.fields != null && (twoPanes || !searching)
        findViewById<View>(R.id.ranking).visible = twoPanes || !searching
        findViewById<View>(R.id.clear_search).visible = searching
    }

    private companion object {
        const val PICK_FILE = 1
    }
}
