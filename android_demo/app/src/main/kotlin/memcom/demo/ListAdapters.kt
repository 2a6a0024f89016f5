package memcom.demo

import android.content.Context
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.ProgressBar
import android.widget.TextView
import memcom.core.Item
import memcom.core.Reason
import memcom.core.Recommendation
import kotlin.math.roundToInt

private const val FULL_BAR = 1000

/** Rows of one layout, replaced as a whole. */
abstract class RowAdapter<T>(protected val context: Context, private val layout: Int) : BaseAdapter() {
    private var rows = emptyList<T>()

    open fun show(changed: List<T>) {
        if (changed == rows) return
        rows = changed
        notifyDataSetChanged()
    }

    override fun getCount() = rows.size

    override fun getItem(position: Int): T = rows[position]

    override fun getItemId(position: Int) = position.toLong()

    override fun getView(position: Int, convertView: View?, parent: ViewGroup): View {
        val view = convertView ?: LayoutInflater.from(context).inflate(layout, parent, false)
        bind(view, position, rows[position])
        return view
    }

    protected abstract fun bind(view: View, position: Int, row: T)
}

/** Titles that were searched for. */
class MatchAdapter(context: Context) : RowAdapter<Item>(context, R.layout.row_match) {
    override fun bind(view: View, position: Int, row: Item) {
        view.findViewById<TextView>(R.id.title).text = row.title
        view.findViewById<TextView>(R.id.caption).apply {
            text = row.caption
            visible = row.caption.isNotEmpty()
        }
    }
}

/** The ranked list; a tap opens the reasons of a row. */
class RecommendationAdapter(
    context: Context,
    private val add: (Int) -> Unit,
    private val hide: (Item) -> Unit,
) : RowAdapter<Recommendation>(context, R.layout.row_recommendation) {
    private var opened: Int? = null
    private var hasHistory = false
    private var takesHistory = true

    /** Replaces the list; without a history there is nothing to explain it by, and some models take none. */
    fun show(changed: List<Recommendation>, hasHistory: Boolean, takesHistory: Boolean) {
        this.hasHistory = hasHistory
        this.takesHistory = takesHistory
        show(changed)
    }

    /** Opens the reasons of the row at [position], or closes them. */
    fun toggle(position: Int) {
        val id = getItem(position).item.id
        opened = if (opened == id) null else id
        notifyDataSetChanged()
    }

    override fun bind(view: View, position: Int, row: Recommendation) {
        val item = row.item
        view.findViewById<TextView>(R.id.place).text = context.getString(R.string.place, position + 1)
        view.findViewById<TextView>(R.id.title).text = item.title
        view.findViewById<TextView>(R.id.caption).apply {
            text = item.caption
            visible = item.caption.isNotEmpty()
        }
        view.findViewById<ProgressBar>(R.id.bar).apply {
            max = FULL_BAR
            progress = (row.likelihood * FULL_BAR).roundToInt()
        }
        view.findViewById<TextView>(R.id.score).apply {
            text = context.getString(R.string.score, row.score)
            contentDescription = context.getString(R.string.score_spoken, row.score)
        }
        view.findViewById<TextView>(R.id.why).apply {
            text = why(row)
            visible = text.isNotEmpty()
        }
        view.findViewById<View>(R.id.add).apply {
            contentDescription = context.getString(R.string.add_to_history, item.title)
            setOnClickListener { add(item.id) }
            visible = takesHistory
        }
        view.findViewById<View>(R.id.hide).apply {
            contentDescription = context.getString(R.string.hide_item, item.title)
            setOnClickListener { hide(item) }
        }
        bindReasons(view.findViewById(R.id.reasons), row.reasons.takeIf { opened == item.id }.orEmpty())
    }

    private fun why(row: Recommendation): CharSequence {
        if (!hasHistory) return ""
        val strongest = row.reasons.firstOrNull() ?: return context.getString(R.string.no_reason)
        return context.getString(R.string.because, strongest.item.title)
    }

    private fun bindReasons(container: ViewGroup, reasons: List<Reason>) {
        val shown = reasons.take(SHOWN_REASONS)
        container.visible = shown.isNotEmpty()
        container.removeAllViews()
        for (reason in shown) {
            val line = LayoutInflater.from(context).inflate(R.layout.reason, container, false)
            line.findViewById<TextView>(R.id.reason_title).text = reason.item.title
            val percent = context.getString(R.string.percent, (reason.share * 100).roundToInt())
            line.findViewById<TextView>(R.id.reason_share).text = percent
            line.findViewById<ProgressBar>(R.id.reason_bar).apply {
                max = FULL_BAR
                progress = (reason.share * FULL_BAR).roundToInt()
            }
            container.addView(line)
        }
    }

    private companion object {
        const val SHOWN_REASONS = 4
    }
}
