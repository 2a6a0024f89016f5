package memcom.demo

import android.app.AlertDialog
import android.content.Context
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.TextView
import memcom.core.Grouping

/** What stands above the ranked list: what it is, what it cost, and which list a person chose. */
class RankingHeader(val view: View, private val session: Session, private val texts: Texts) {
    private val context: Context = view.context
    private val filters = view.findViewById<ViewGroup>(R.id.filters)
    private var filtered: OpenRanker? = null

    init {
        view.findViewById<View>(R.id.show_hidden).setOnClickListener { session.showHidden() }
        view.findViewById<View>(R.id.rank_all).setOnClickListener { session.only("") }
    }

    fun show(state: State) {
        val model = state.ranker
        val recommendations = state.recommendations
        val misfit = model?.fields?.misfit(state.row)
        view.visible = recommendations != null || misfit != null
        if (model == null) return
        view.findViewById<TextView>(R.id.ranking_title)
            .setText(if (state.history.isEmpty() && model.takesHistory) R.string.ranked_without_history else R.string.ranked)
        view.findViewById<TextView>(R.id.statistics).text = when {
            misfit != null -> context.getString(R.string.no_number, misfit.name)
            recommendations != null -> texts.statistics(model.recommender.file, recommendations.nanoseconds)
            else -> ""
        }
        showFilters(model, state.choice)
        showChoice(state.choice)
    }

    /** What the list leaves out, and how that is undone. */
    private fun showChoice(choice: ListChoice) {
        val last = choice.hidden.lastOrNull()
        view.findViewById<View>(R.id.hidden_bar).visible = last != null
        view.findViewById<TextView>(R.id.hidden).text =
            context.getString(R.string.hidden, choice.hidden.asReversed().joinToString { it.title })
        view.findViewById<View>(R.id.show_hidden).contentDescription = context.getString(R.string.show_hidden, last?.title)
        view.findViewById<View>(R.id.only_bar).visible = choice.only.isNotEmpty()
        view.findViewById<TextView>(R.id.only).text = context.getString(R.string.only, choice.only)
    }

    /** A button for the length of the list, and one for each grouping of the model's items. */
    private fun showFilters(model: OpenRanker, choice: ListChoice) {
        val groupings = model.recommender.catalogue.groupings
        if (model !== filtered) {
            filtered = model
            filters.removeAllViews()
            repeat(1 + groupings.size) { LayoutInflater.from(context).inflate(R.layout.filter, filters) }
        }
        showLength(filters.getChildAt(0) as Button, model.lengths, choice.length ?: model.file.description.listLength)
        groupings.forEachIndexed { place, grouping ->
            showGroup(filters.getChildAt(1 + place) as Button, grouping, choice.groups[grouping.name])
        }
    }

    private fun showLength(button: Button, lengths: List<Int>, length: Int) {
        button.text = context.getString(R.string.show_so_many, length)
        button.setOnClickListener {
            val names = lengths.map { context.getString(R.string.show_so_many, it) }
            choose(context.getString(R.string.length), names, lengths.indexOf(length)) { session.length(lengths[it]) }
        }
    }

    private fun showGroup(button: Button, grouping: Grouping, value: String?) {
        button.text = context.getString(R.string.group, grouping.name, value ?: context.getString(R.string.all))
        button.setOnClickListener {
            val names = listOf(context.getString(R.string.all)) + grouping.values
            choose(grouping.name, names, grouping.values.indexOf(value) + 1) { place ->
                session.group(grouping.name, grouping.values.getOrNull(place - 1))
            }
        }
    }

    private fun choose(title: String, names: List<String>, current: Int, chosen: (Int) -> Unit) {
        AlertDialog.Builder(context)
            .setTitle(title)
            .setSingleChoiceItems(names.toTypedArray(), current) { dialog, which ->
                dialog.dismiss()
                chosen(which)
            }
            .show()
    }
}
