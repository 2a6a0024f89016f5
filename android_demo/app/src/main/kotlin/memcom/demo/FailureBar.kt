package memcom.demo

import android.view.View
import android.widget.TextView

/** What went wrong last, until it is dismissed. It is read aloud once, however often the screen is made anew. */
class FailureBar(private val bar: View, private val session: Session, private val texts: Texts) {
    private var shown: Failure? = null

    init {
        bar.findViewById<View>(R.id.failure_dismiss).setOnClickListener { session.dismissFailure() }
    }

    fun show(failure: Failure?) {
        if (failure === shown) return // another change of the screen
        shown = failure
        if (failure != null) {
            bar.accessibilityLiveRegion = if (session.isNew(failure)) View.ACCESSIBILITY_LIVE_REGION_ASSERTIVE else View.ACCESSIBILITY_LIVE_REGION_NONE
            bar.findViewById<TextView>(R.id.failure_title).text = bar.context.getString(R.string.cannot_open, failure.name)
            bar.findViewById<TextView>(R.id.failure_advice).text = texts.advice(failure)
        }
        bar.visible = failure != null
    }
}
