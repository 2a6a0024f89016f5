package memcom.demo

import android.graphics.Insets
import android.view.View
import android.view.WindowInsets
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment

/** The app behind the system's bars, clear of them where it matters. */
@RunWith(AppTestRunner::class)
@Suppress("DEPRECATION")
class EdgeToEdgeTest {
    private val phone = Phone()

    private fun View.insets(bars: Insets, keyboard: Int = 0) {
        val all = Insets.max(bars, Insets.of(0, 0, 0, keyboard))
        dispatchApplyWindowInsets(WindowInsets.Builder().setSystemWindowInsets(all).setStableInsets(bars).build())
    }

    private fun View.paddings() = listOf(paddingLeft, paddingTop, paddingRight, paddingBottom)

    @Test
    fun itIsAimedAtAndRunsOnAndroid15() {
        phone.start()
        assertEquals(35, android.os.Build.VERSION.SDK_INT)
        assertEquals(35, phone.application.applicationInfo.targetSdkVersion)
    }

    @Test
    fun theWindowReachesBehindTheBars() {
        phone.start()
        val flags = View.SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN or View.SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION
        assertEquals(flags, phone.activity.window.decorView.systemUiVisibility and flags)
        val background = phone.view<View>(R.id.root)
        assertEquals("the root is as high as the window", phone.activity.window.decorView.height, background.height)
    }

    @Test
    fun rowsScrollBehindTheLowerBarAndEndAboveIt() {
        phone.start()
        val end = phone.view<View>(R.id.ranking).paddingBottom
        assertTrue(end > 0)
        phone.view<View>(R.id.root).insets(Insets.of(0, 60, 0, 40))
        assertEquals(listOf(0, 60, 0, 0), phone.view<View>(R.id.root).paddings())
        for (id in listOf(R.id.ranking, R.id.matches)) {
            assertEquals(end + 40, phone.view<View>(id).paddingBottom)
            assertFalse((phone.view<View>(id) as android.view.ViewGroup).clipToPadding)
        }
        assertEquals(40, phone.view<View>(R.id.form_scroll).paddingBottom)
        phone.view<View>(R.id.root).insets(Insets.of(0, 60, 0, 0))
        assertEquals("insets are not added up", end, phone.view<View>(R.id.ranking).paddingBottom)
    }

    @Test
    fun theKeyboardCoversNothing() {
        phone.start()
        val end = phone.view<View>(R.id.ranking).paddingBottom
        phone.view<View>(R.id.root).insets(Insets.of(0, 60, 0, 40), keyboard = 600)
        assertEquals(listOf(0, 60, 0, 600), phone.view<View>(R.id.root).paddings())
        assertEquals(end, phone.view<View>(R.id.ranking).paddingBottom)
    }

    @Test
    fun inLandscapeTheSidesAreClear() {
        RuntimeEnvironment.setQualifiers("+land")
        phone.start()
        phone.view<View>(R.id.root).insets(Insets.of(90, 60, 120, 0))
        assertEquals(listOf(90, 60, 120, 0), phone.view<View>(R.id.root).paddings())
    }

    @Test
    fun theComparisonIsClearToo() {
        phone.start()
        val activity = Robolectric.buildActivity(CompareActivity::class.java).setup().visible().get()
        val root = activity.findViewById<View>(R.id.root)
        root.insets(Insets.of(0, 60, 0, 40))
        assertEquals(listOf(0, 60, 0, 0), root.paddings())
        assertEquals(40, activity.findViewById<View>(R.id.scroll).paddingBottom)
    }
}
