package memcom.demo

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.os.Bundle
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.view.inputmethod.InputMethodManager
import android.widget.EditText
import android.widget.ListView
import android.widget.TextView

/** Search, history and ranked list of a ranker, or the form of a model of rows. */
class MainActivity : Activity() {
    private val session get() = (application as DemoApplication).session
    private val texts by lazy { Texts(this) }
    private val matches by lazy { MatchAdapter(this) }
    private val ranking by lazy { RecommendationAdapter(this, session::add, session::hide) }
    private val observer: (State) -> Unit = ::show
    private lateinit var chips: HistoryChips
    private lateinit var search: EditText
    private lateinit var header: View
    private lateinit var form: RowForm
    private lateinit var fields: FieldInputs
    private var compare: MenuItem? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        setActionBar(findViewById(R.id.toolbar))
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
        findViewById<View>(R.id.failure_dismiss).setOnClickListener { session.dismissFailure() }
        if (session.state.model == null && !session.state.opening) session.start()
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
        header = layoutInflater.inflate(R.layout.ranking_header, ranked, false)
        header.findViewById<View>(R.id.show_hidden).setOnClickListener { session.showHidden() }
        header.findViewById<View>(R.id.rank_all).setOnClickListener { session.only("") }
        ranked.addHeaderView(header, null, false)
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
        val names = bundled.map { it.name } + getString(R.string.open_file)
        val current = bundled.indexOf(session.state.model?.source)
        AlertDialog.Builder(this)
            .setTitle(R.string.choose_model)
            .setSingleChoiceItems(names.toTypedArray(), current) { dialog, which ->
                dialog.dismiss()
                if (which < bundled.size) session.open(bundled[which]) else pickFile()
            }
            .show()
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
        showHeader(state)
        showFailure(state.failure)
        showPanes(state)
        showCompare(state)
        findViewById<View>(R.id.ranking_screen).visible = model !is OpenScorer
        form.show(state)
    }

    /** Only lists are compared. */
    private fun showCompare(state: State) {
        compare?.isVisible = state.model !is OpenScorer
    }

    private fun showHeader(state: State) {
        val model = state.ranker
        val recommendations = state.recommendations
        search.hint = model?.recommender?.catalogue?.size?.let {
            resources.getQuantityString(R.plurals.search_titles, it, it)
        }
        val misfit = model?.fields?.misfit(state.row)
        header.visible = recommendations != null || misfit != null
        if (model == null) return
        header.findViewById<TextView>(R.id.ranking_title)
            .setText(if (state.history.isEmpty() && model.takesHistory) R.string.ranked_without_history else R.string.ranked)
        header.findViewById<TextView>(R.id.statistics).text = when {
            misfit != null -> getString(R.string.no_number, misfit.name)
            recommendations != null -> texts.statistics(model.recommender.file, recommendations.nanoseconds)
            else -> ""
        }
        showChoice(state)
    }

    /** What the list leaves out, and how that is undone. */
    private fun showChoice(state: State) {
        val last = state.hidden.lastOrNull()
        header.findViewById<View>(R.id.hidden_bar).visible = last != null
        header.findViewById<TextView>(R.id.hidden).text =
            getString(R.string.hidden, state.hidden.asReversed().joinToString { it.title })
        header.findViewById<View>(R.id.show_hidden).contentDescription = getString(R.string.show_hidden, last?.title)
        header.findViewById<View>(R.id.only_bar).visible = state.only.isNotEmpty()
        header.findViewById<TextView>(R.id.only).text = getString(R.string.only, state.only)
    }

    private fun showFailure(failure: Failure?) {
        findViewById<View>(R.id.failure).visible = failure != null
        if (failure == null) return
        findViewById<TextView>(R.id.failure_title).text = getString(R.string.cannot_open, failure.name)
        findViewById<TextView>(R.id.failure_advice).text = texts.advice(failure)
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
