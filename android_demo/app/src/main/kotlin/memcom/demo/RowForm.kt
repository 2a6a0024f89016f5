package memcom.demo

import android.content.Context
import android.text.InputType
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.ArrayAdapter
import android.widget.AutoCompleteTextView
import android.widget.EditText
import android.widget.Filter
import android.widget.LinearLayout
import android.widget.MultiAutoCompleteTextView
import android.widget.ProgressBar
import android.widget.TextView
import memcom.core.CategoryField
import memcom.core.Field
import kotlin.math.roundToInt

private const val FULL_BAR = 1000

/** The fields of a model of rows, and what it says while a person types. */
class RowForm(private val form: View, private val session: Session, private val texts: Texts) {
    private val context: Context = form.context
    private val fields = form.findViewById<ViewGroup>(R.id.fields)
    private var shown: OpenScorer? = null

    fun show(state: State) {
        val model = state.model as? OpenScorer
        form.visible = model != null
        if (model != shown) {
            shown = model
            fields.removeAllViews()
            model?.file?.fields?.forEach { add(model, it, state.row[it.name].orEmpty()) }
        }
        if (model != null) showScore(model, state.score)
    }

    private fun showScore(model: OpenScorer, score: Score?) {
        val probability = score?.probability
        form.findViewById<TextView>(R.id.probability).text =
            if (probability == null) context.getString(R.string.no_probability) else texts.probability(probability)
        form.findViewById<ProgressBar>(R.id.probability_bar).apply {
            max = FULL_BAR
            progress = ((probability ?: 0f) * FULL_BAR).roundToInt()
        }
        form.findViewById<TextView>(R.id.form_statistics).text =
            if (probability == null) "" else texts.statistics(model.file, score.nanoseconds)
    }

    private fun add(model: OpenScorer, field: Field, text: String) {
        val input = if (field is CategoryField) categoryInput(model, field) else numberInput()
        input.id = View.generateViewId()
        input.isSaveEnabled = false // the session keeps the row
        input.setHint(R.string.missing)
        input.setText(text)
        input.onTextChanged { typed -> session.fill(field.name, typed) }
        val label = LayoutInflater.from(context).inflate(R.layout.field_label, fields, false) as TextView
        label.text = field.name
        label.labelFor = input.id
        fields.addView(label)
        val wide = LinearLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT)
        fields.addView(input, wide)
    }

    private fun categoryInput(model: OpenScorer, field: CategoryField): EditText {
        val separator = field.separator
        val input = if (separator == null) {
            AutoCompleteTextView(context, null, 0, R.style.Input)
        } else {
            MultiAutoCompleteTextView(context, null, 0, R.style.Input).apply { setTokenizer(SeparatorTokenizer(separator)) }
        }
        input.threshold = 1
        input.setAdapter(SuggestionAdapter(context) { typed -> model.suggestions(field, typed) })
        return input
    }

    private fun numberInput() = EditText(context, null, 0, R.style.Input).apply {
        inputType = InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_FLAG_DECIMAL or InputType.TYPE_NUMBER_FLAG_SIGNED
    }
}

/** Cuts a text of several values, of which one at a time is completed. */
class SeparatorTokenizer(private val separator: String) : MultiAutoCompleteTextView.Tokenizer {
    override fun findTokenStart(text: CharSequence, cursor: Int): Int {
        val last = text.substring(0, cursor).lastIndexOf(separator)
        return if (last < 0) 0 else last + separator.length
    }

    override fun findTokenEnd(text: CharSequence, cursor: Int): Int =
        text.indexOf(separator, cursor).let { if (it < 0) text.length else it }

    override fun terminateToken(text: CharSequence): CharSequence = text
}

/** What [find] finds for a text; it is called on the filter's thread. */
class SuggestionAdapter(context: Context, private val find: (String) -> List<String>) :
    ArrayAdapter<String>(context, R.layout.suggestion) {
    private val filter = object : Filter() {
        override fun performFiltering(text: CharSequence?) = FilterResults().apply {
            val found = find(text?.toString().orEmpty())
            values = found
            count = found.size
        }

        override fun publishResults(text: CharSequence?, results: FilterResults?) {
            clear()
            addAll((results?.values as? List<*>).orEmpty().map { it.toString() })
        }
    }

    override fun getFilter(): Filter = filter
}
