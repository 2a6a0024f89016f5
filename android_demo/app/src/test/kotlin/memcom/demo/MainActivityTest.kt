package memcom.demo

import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.widget.AdapterView
import android.widget.ProgressBar
import android.widget.TextView
import java.util.concurrent.CountDownLatch
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

/** The app with the demo's model: search, history, list, reasons. */
@RunWith(AppTestRunner::class)
class MainActivityTest {
    private val phone = Phone()

    @Test
    fun itStartsWithAListForEverybody() {
        phone.start()
        assertEquals("To start with", phone.text(R.id.ranking_title))
        assertEquals(10, phone.ranked.size)
        assertTrue(phone.text(R.id.statistics), phone.text(R.id.statistics).matches(STATISTICS))
        assertTrue(phone.reasons.all { it.isEmpty() })
        assertTrue(phone.isShown(R.id.history_hint))
        assertFalse(phone.isShown(R.id.failure))
        phone.screenshot("start-light")
    }

    @Test
    fun titlesAreFoundWhileTyping() {
        phone.start().search("star")
        assertTrue(phone.matches.toString(), phone.matches.size > 4)
        assertTrue(phone.matches.take(3).all { it.startsWith("Star") })
        assertTrue(phone.isShown(R.id.matches))
        assertFalse(phone.isShown(R.id.ranking))
        phone.screenshot("search-light")
        phone.search("no such film")
        assertEquals(emptyList<String>(), phone.matches)
        assertTrue(phone.isShown(R.id.no_matches))
        phone.tap(R.id.clear_search)
        assertTrue(phone.isShown(R.id.ranking))
    }

    @Test
    fun whatIsTappedJoinsTheHistoryAndTheListFollows() {
        phone.start()
        val before = phone.ranked
        FILMS.forEach(phone::choose)
        assertEquals(FILMS.reversed(), phone.chips)
        assertEquals("Next for you", phone.text(R.id.ranking_title))
        assertEquals("", phone.text(R.id.search))
        assertFalse(phone.isShown(R.id.history_hint))
        assertNotEquals(before, phone.ranked)
        assertTrue(phone.ranked.none { it in FILMS })
        assertTrue(phone.reasons.all { reason -> reason.startsWith("For what it is") || FILMS.any { it in reason } })
        assertTrue(phone.reasons.any { "Because of" in it })
        phone.screenshot("ranked-light")
    }

    @Test
    fun theListFallsFromAFullBar() {
        phone.start().choose(FILMS.first())
        val bars = phone.ranked.indices.map { phone.row(it).findViewById<ProgressBar>(R.id.bar) }
        assertEquals(bars[0].max, bars[0].progress)
        assertEquals(bars.map { it.progress }.sortedDescending(), bars.map { it.progress })
        assertTrue(bars.last().progress < bars[0].max)
    }

    @Test
    fun aChipRemovesItsFilm() {
        phone.start()
        val before = phone.ranked
        phone.choose(FILMS[0])
        phone.choose(FILMS[1])
        val chips = phone.view<ViewGroup>(R.id.chips)
        assertEquals("Remove ${FILMS[1]} from the history", chips.getChildAt(0).contentDescription)
        chips.getChildAt(0).performClick()
        phone.settle()
        assertEquals(listOf(FILMS[0]), phone.chips)
        chips.getChildAt(0).performClick()
        phone.settle()
        assertEquals(before, phone.ranked)
    }

    @Test
    fun aRowSaysWhyAndJoinsTheHistory() {
        phone.start()
        FILMS.forEach(phone::choose)
        phone.tapRanked(0)
        val reasons = phone.row(0).findViewById<ViewGroup>(R.id.reasons)
        val first = reasons.getChildAt(0).findViewById<TextView>(R.id.reason_title).text
        assertEquals("Because of $first", phone.reasons[0])
        assertTrue(reasons.getChildAt(0).findViewById<TextView>(R.id.reason_share).text.matches(Regex("\\d+ %")))
        phone.screenshot("why-light")
        phone.tapRanked(0)
        assertFalse(phone.row(0).findViewById<View>(R.id.reasons).visible)
        val title = phone.ranked[0]
        val add = phone.row(0).findViewById<View>(R.id.add)
        assertEquals("Add $title to the history", add.contentDescription)
        add.performClick()
        phone.settle()
        assertEquals(title, phone.chips[0])
        assertFalse(title in phone.ranked)
    }

    @Test
    fun rankingWaitsOnAnotherThread() {
        phone.start()
        val before = phone.ranked
        val held = CountDownLatch(1)
        phone.application.worker.execute { held.await() }
        phone.session.add(phone.session.state.recommendations!!.rows[0].item.id)
        shadowOf(Looper.getMainLooper()).idle()
        assertEquals("the chip is there at once", 1, phone.chips.size)
        assertEquals(before, phone.ranked)
        held.countDown()
        phone.settle()
        assertNotEquals(before, phone.ranked)
    }

    @Test
    fun rotationKeepsEverything() {
        phone.start()
        FILMS.forEach(phone::choose)
        val ranked = phone.ranked
        phone.search("alien")
        assertFalse("what was chosen is not offered again", "Alien (1979)" in phone.matches)
        phone.rotate("+land")
        assertEquals(FILMS.reversed(), phone.chips)
        assertEquals(ranked, phone.ranked)
        assertEquals("alien", phone.text(R.id.search))
        assertTrue(phone.matches.first().startsWith("Alien"))
        assertTrue("both panes", phone.isShown(R.id.ranking) && phone.isShown(R.id.matches))
        phone.screenshot("landscape-light")
    }

    @Test
    fun aNewProcessRemembers() {
        phone.start()
        FILMS.forEach(phone::choose)
        val ranked = phone.ranked
        val application = phone.application
        application.session = application.newSession(FileModelStore(application))
        val restarted = Phone(Robolectric.buildActivity(MainActivity::class.java)).start()
        assertEquals(FILMS.reversed(), restarted.chips)
        assertEquals(ranked, restarted.ranked)
    }

    @Test
    fun itIsDrawnInTheDark() {
        RuntimeEnvironment.setQualifiers("+night")
        phone.start()
        FILMS.forEach(phone::choose)
        phone.screenshot("ranked-dark")
        phone.search("alien")
        phone.screenshot("search-dark")
        phone.tap(R.id.clear_search)
        phone.rotate("+land-night")
        phone.screenshot("landscape-dark")
    }

    @Test
    fun largeTextHasRoom() {
        RuntimeEnvironment.setFontScale(2f)
        phone.start().choose(FILMS[0])
        val row = phone.row(0)
        row.measure(
            View.MeasureSpec.makeMeasureSpec(phone.activity.window.decorView.width, View.MeasureSpec.EXACTLY),
            View.MeasureSpec.UNSPECIFIED,
        )
        for (id in listOf(R.id.title, R.id.caption, R.id.why)) {
            val text = row.findViewById<TextView>(id)
            assertTrue("cut off", text.layout == null || text.layout.height <= text.measuredHeight)
        }
        phone.screenshot("large-text-light")
    }

    @Test
    fun everyControlHasAName() {
        phone.start()
        FILMS.forEach(phone::choose)
        val nameless = ArrayList<String>()
        fun visit(view: View) {
            val named = !view.contentDescription.isNullOrEmpty() || view is TextView && (view.text.isNotEmpty() || !view.hint.isNullOrEmpty())
            if (view.isClickable && view.isShown && view !is AdapterView<*> && !named) nameless += "$view"
            if (view is ViewGroup) (0 until view.childCount).forEach { visit(view.getChildAt(it)) }
        }
        visit(phone.activity.window.decorView)
        assertEquals(emptyList<String>(), nameless)
    }

    private companion object {
        val FILMS = listOf("Star Wars (1977)", "Fargo (1996)", "Alien (1979)")
        val STATISTICS = Regex("""1,682 titles · \d+ kB · ranked in \d+\.\d\d ms""")
    }
}
