package memcom.demo

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.HorizontalScrollView
import memcom.core.Item

/** The history as a row of chips, the most recent first; a tap removes one. */
class HistoryChips(private val row: ViewGroup, private val remove: (Int) -> Unit) {
    private var shown = emptyList<Item>()

    fun show(history: List<Item>) {
        (row.parent as View).visible = history.isNotEmpty()
        if (history == shown) return
        shown = history
        row.removeAllViews()
        for (item in history.asReversed()) row.addView(chip(item))
        (row.parent as HorizontalScrollView).scrollTo(0, 0)
    }

    private fun chip(item: Item): View {
        val chip = LayoutInflater.from(row.context).inflate(R.layout.chip, row, false) as Button
        chip.text = item.title
        chip.contentDescription = row.context.getString(R.string.remove_from_history, item.title)
        chip.setOnClickListener { remove(item.id) }
        return chip
    }
}
