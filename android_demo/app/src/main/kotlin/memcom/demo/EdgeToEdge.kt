package memcom.demo

import android.app.Activity
import android.view.View

/**
 * Draws behind the system's bars, as Android 15 wants it in any case, and keeps what is read and tapped clear of
 * them, of cutouts and of the keyboard.
 *
 * @param root what the activity shows; its window's background is seen behind the bars
 * @param scrolling what scrolls behind the navigation bar, and ends above it
 */
@Suppress("DEPRECATION") // the same on Android 7 and 15; what stands in its place is not there before 11
fun Activity.drawEdgeToEdge(root: View, scrolling: List<View>) {
    val decor = window.decorView
    decor.systemUiVisibility = decor.systemUiVisibility or View.SYSTEM_UI_FLAG_LAYOUT_STABLE or
        View.SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN or View.SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION
    val ends = scrolling.associateWith { it.paddingBottom }
    root.setOnApplyWindowInsetsListener { _, insets ->
        // The bars alone are stable; what goes beyond them is the keyboard.
        val hasKeyboard = insets.systemWindowInsetBottom > insets.stableInsetBottom
        val below = insets.systemWindowInsetBottom
        root.setPadding(
            insets.systemWindowInsetLeft, insets.systemWindowInsetTop, insets.systemWindowInsetRight,
            if (hasKeyboard) below else 0,
        )
        for ((view, end) in ends) {
            view.setPadding(view.paddingLeft, view.paddingTop, view.paddingRight, if (hasKeyboard) end else end + below)
        }
        insets
    }
}
