package memcom.demo

import android.content.Context
import android.text.InputType
import android.util.AttributeSet
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
import android.widget.ScrollView
import memcom.core.CategoryField
import memcom.core.Field
import kotlin.math.roundToInt

private const val FULL_BAR = 1000

/** The fields of a model of rows, and what it says while a person types. */
class RowForm(private val form: View, session: Session, private val texts: Texts) {
    private val context: Context = form.context
    private val inputs = FieldInputs(form.findViewById(R.id.fields), session)

    fun show(state: State) {
        val model = state.model as? OpenScorer
        form.visible = model != null
        inputs.show(model, state.row)
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
}

/** An input for each field of a model, under the field's name. */
class FieldInputs(private val container: ViewGroup, private val session: Session) {
    private val context: Context = container.context
    private var shown: OpenModel? = null

    /** Shows the fields of a model as they were filled in; nothing of a model without fields, or of none. */
    fun show(model: OpenModel?, row: Map<String, String>) {
        if (model == shown) return
        shown = model
        container.removeAllViews()
        val fields = model?.fields ?: return
        for (field in fields) add(fields, field, row[field.name].orEmpty())
    }

    private fun add(fields: TypedFields, field: Field, text: String) {
        val input = if (field is CategoryField) categoryInput(fields, field) else numberInput()
        input.id = View.generateViewId()
        input.isSaveEnabled = false // the session keeps the row
        input.setHint(R.string.missing)
        input.setText(text)
        input.onTextChanged { typed -> session.fill(field.name, typed) }
        val label = LayoutInflater.from(context).inflate(R.layout.field_label, container, false) as TextView
        label.text = field.name
        label.labelFor = input.id
        container.addView(label)
        val wide = LinearLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT)
        container.addView(input, wide)
    }

    private fun categoryInput(fields: TypedFields, field: CategoryField): EditText {
        val separator = field.separator
        val input = if (separator == null) {
            AutoCompleteTextView(context, null, 0, R.style.Input)
        } else {
            MultiAutoCompleteTextView(context, null, 0, R.style.Input).apply { setTokenizer(SeparatorTokenizer(separator)) }
        }
        input.threshold = 1
        input.setAdapter(SuggestionAdapter(context) { typed -> fields.suggestions(field, typed) })
        return input
    }

    private fun numberInput() = EditText(context, null, 0, R.style.Input).apply {
        inputType = InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_FLAG_DECIMAL or InputType.TYPE_NUMBER_FLAG_SIGNED
    }
}

/** Scrolls, and takes no more than [SHARE] of the room that there is. */
class LowScrollView(context: Context, attributes: AttributeSet) : ScrollView(context, attributes) {
    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val most = (MeasureSpec.getSize(heightMeasureSpec) * SHARE).toInt()
        super.onMeasure(widthMeasureSpec, MeasureSpec.makeMeasureSpec(most, MeasureSpec.AT_MOST))
    }

    private companion object {
        const val SHARE = 0.4f
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
