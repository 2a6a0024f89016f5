package memcom.demo

import android.app.Activity
import android.os.Bundle
import android.view.MenuItem
import android.view.View
import android.view.ViewGroup
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Spinner
import android.widget.TextView
import memcom.core.Comparison
import memcom.core.History
import memcom.core.Item
import memcom.core.RankerFile

/** The open model beside another: bytes, time, and what both recommend after the same history. */
class CompareActivity : Activity() {
    private val session get() = (application as DemoApplication).session
    private val texts by lazy { Texts(this) }
    private val failure by lazy { FailureBar(findViewById(R.id.failure), session, texts) }
    private val observer: (State) -> Unit = { failure.show(it.failure) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.compare)
        setActionBar(findViewById(R.id.toolbar))
        drawEdgeToEdge(findViewById(R.id.root), listOf(findViewById(R.id.scroll)))
        actionBar?.setDisplayHomeAsUpEnabled(true)
        val model = session.state.ranker
        if (model == null) { // a new process, which starts with the first screen
            finish()
            return
        }
        val others = session.models.bundled.filter { it != model.source }.asReversed()
        val spinner = findViewById<Spinner>(R.id.others)
        spinner.adapter = ArrayAdapter(this, R.layout.spinner_item, others.map { it.name })
            .apply { setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item) }
        spinner.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>, view: View?, position: Int, id: Long) =
                compare(model, others[position])

            override fun onNothingSelected(parent: AdapterView<*>) = Unit
        }
    }

    override fun onStart() {
        super.onStart()
        session.observe(observer)
    }

    override fun onStop() {
        session.ignore(observer)
        super.onStop()
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        if (item.itemId == android.R.id.home) finish()
        return true
    }

    private fun compare(model: OpenRanker, other: ModelSource) {
        val chosen = session.state.history
        val items = chosen.map { model.file.vocabulary.item(it.id) }
        val row = session.state.row
        val task = {
            session.models.open(other).use { second -> Pair(measure(model, items, row), measure(second.ranker(), items, row)) }
        }
        session.inBackground(other.name, task) { sides -> if (sides != null) show(sides.first, sides.second) }
    }

    /** One model of the comparison. */
    private class Side(val name: String, val file: RankerFile, val ranked: List<Item>, val nanoseconds: Long) {
        val items = ranked.map { file.vocabulary.item(it.id) }
    }

    private fun measure(model: OpenRanker, items: List<String>, row: Map<String, String>): Side {
        val history = History(if (model.takesHistory) model.file.vocabulary.idsOf(items) else emptyList())
        val ranked = model.recommend(history, row)?.rows.orEmpty().map { it.item }
        return Side(model.source.name, model.file, ranked, model.medianNanoseconds(history, row, RUNS))
    }

    private fun show(first: Side, second: Side) {
        val comparison = Comparison(first.items, second.items)
        val ratio = second.file.graph.limit().toDouble() / first.file.graph.limit()
        findViewById<TextView>(R.id.headline).text =
            if (ratio >= 1) getString(R.string.times_smaller, ratio) else getString(R.string.times_larger, 1 / ratio)
        findViewById<TextView>(R.id.overlap).text =
            getString(R.string.overlap, comparison.shared.size, comparison.places)
        showSide(findViewById(R.id.first), first, comparison)
        showSide(findViewById(R.id.second), second, comparison)
        findViewById<View>(R.id.comparison).visible = true
    }

    private fun showSide(column: ViewGroup, side: Side, comparison: Comparison) {
        val description = side.file.description
        column.findViewById<TextView>(R.id.model_name).text = side.name
        column.findViewById<TextView>(R.id.model_kind).text =
            getString(R.string.model_kind, description.method.removeSuffix("Embedding"), description.weights)
        column.findViewById<TextView>(R.id.model_bytes).text = texts.size(side.file.graph.limit())
        column.findViewById<TextView>(R.id.model_file_bytes).text =
            getString(R.string.file_with_titles, texts.size(side.file.bytes))
        column.findViewById<TextView>(R.id.model_time).text =
            getString(R.string.median_time, texts.milliseconds(side.nanoseconds))
        val list = column.findViewById<ViewGroup>(R.id.model_list)
        list.removeAllViews()
        side.ranked.forEachIndexed { position, item ->
            val line = layoutInflater.inflate(R.layout.compared_item, list, false) as TextView
            val shared = side.items[position] in comparison.shared
            line.text = getString(R.string.place_and_title, position + 1, item.title)
            line.isActivated = shared
            line.contentDescription =
                if (shared) getString(R.string.in_both, line.text) else getString(R.string.in_one, line.text)
            list.addView(line)
        }
    }

    private companion object {
        const val RUNS = 50
    }
}
