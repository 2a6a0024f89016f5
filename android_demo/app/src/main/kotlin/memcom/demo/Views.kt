package memcom.demo

import android.text.Editable
import android.text.TextWatcher
import android.view.View
import android.widget.EditText

/** Whether a view is there; if not, it takes no room. */
var View.visible: Boolean
    get() = visibility == View.VISIBLE
    set(value) {
        visibility = if (value) View.VISIBLE else View.GONE
    }

/** Calls [changed] with the text whenever it changes. */
fun EditText.onTextChanged(changed: (String) -> Unit) = addTextChangedListener(object : TextWatcher {
    override fun beforeTextChanged(text: CharSequence?, start: Int, count: Int, after: Int) = Unit

    override fun onTextChanged(text: CharSequence?, start: Int, before: Int, count: Int) = Unit

    override fun afterTextChanged(text: Editable?) = changed(text.toString())
})
