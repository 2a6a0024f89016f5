package memcom.demo

import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowAlertDialog

/** Lists that leave items out, or are of some items only. */
@RunWith(AppTestRunner::class)
class ListChoiceTest {
    private val phone = Phone()

    private fun hide(position: Int) {
        phone.row(position).findViewById<View>(R.id.hide).performClick()
        phone.settle()
    }

    private val undo get() = phone.view<View>(R.id.show_hidden)

    @Test
    fun whatIsHiddenLeavesTheListUntilItIsUndone() {
        phone.start().choose("Star Wars")
        val all = phone.ranked
        assertFalse(phone.isShown(R.id.hidden))
        assertEquals("Hide ${all[1]}", phone.row(1).findViewById<View>(R.id.hide).contentDescription)
        hide(1)
        assertEquals(all - all[1], phone.ranked.take(9))
        assertEquals("another item moves up", 10, phone.ranked.distinct().size)
        hide(0)
        assertEquals(all.drop(2), phone.ranked.take(8))
        assertEquals("Hidden: ${all[0]}, ${all[1]}", phone.text(R.id.hidden))
        assertEquals("Undo: show ${all[0]} again", undo.contentDescription)
        phone.screenshot("hidden-light")
        phone.rotate("+land")
        assertEquals(all.drop(2), phone.ranked.take(8))
        undo.performClick()
        phone.settle()
        assertEquals(all - all[1], phone.ranked.take(9))
        undo.performClick()
        phone.settle()
        assertEquals(all, phone.ranked)
        assertFalse(phone.isShown(R.id.hidden))
    }

    @Test
    fun anotherModelHidesNothing() {
        phone.start()
        hide(0)
        phone.pick(Phone.fixture("teas.tflite"))
        assertFalse(phone.isShown(R.id.hidden))
        assertEquals(6, phone.ranked.size)
    }

    @Test
    fun titlesThatWereFoundAloneAreRanked() {
        phone.start()
        val all = phone.ranked
        phone.search("star ")
        val found = phone.matches
        phone.tap(R.id.only_these)
        assertEquals("", phone.text(R.id.search))
        assertEquals("Only titles with “star”", phone.text(R.id.only))
        assertEquals(minOf(10, found.size), phone.ranked.size)
        assertTrue(phone.ranked.all { it in found })
        val first = phone.ranked[0]
        hide(0)
        assertFalse(first in phone.ranked)
        assertTrue(phone.ranked.all { it in found })
        undo.performClick()
        phone.tap(R.id.rank_all)
        assertEquals(all, phone.ranked)
        assertFalse(phone.isShown(R.id.only))
    }

    private val filters get() = phone.view<ViewGroup>(R.id.filters).let { row -> List(row.childCount) { row.getChildAt(it) as Button } }

    /** Opens one of the buttons above the list, and takes what is called so. */
    private fun take(button: Int, name: String): List<CharSequence> {
        filters[button].performClick()
        val dialog = shadowOf(ShadowAlertDialog.getLatestAlertDialog())
        dialog.clickOnItem(dialog.items.indexOf(name).also { assertTrue("$name of ${dialog.items.toList()}", it >= 0) })
        phone.settle()
        return dialog.items.toList()
    }

    @Test
    fun theListIsAsLongAsAPersonWants() {
        phone.start().choose("Star Wars")
        val all = phone.ranked
        assertEquals("Show 10", filters[0].text)
        assertEquals(listOf("Show 5", "Show 10", "Show 20", "Show 50", "Show 100"), take(0, "Show 5"))
        assertEquals(all.take(5), phone.ranked)
        take(0, "Show 50")
        assertEquals("longer than the file's list", 50, phone.ranked.distinct().size)
        assertEquals(all, phone.ranked.take(10))
        assertFalse("Star Wars (1977)" in phone.ranked)
        hide(0)
        assertEquals(all.drop(1), phone.ranked.take(9))
        assertEquals(50, phone.ranked.size)
        phone.rotate("+land")
        assertEquals(50, phone.ranked.size)
        assertEquals("Show 50", filters[0].text)
    }

    @Test
    fun aGroupAloneIsRanked() {
        phone.start().choose("Star Wars")
        val all = phone.ranked
        assertEquals(listOf("Show 10", "genres: all"), filters.map { it.text })
        val genres = take(1, "Western")
        assertEquals("all", genres.first())
        assertEquals(genres.drop(1).map { "$it" }.sorted(), genres.drop(1))
        assertEquals("genres: Western", filters[1].text)
        assertEquals(10, phone.ranked.size)
        for (place in 0 until 10) assertTrue("Western" in phone.row(place).findViewById<TextView>(R.id.caption).text)
        phone.search("man")
        phone.tap(R.id.only_these)
        assertTrue("both", phone.ranked.isNotEmpty() && phone.ranked.all { it.contains("man", ignoreCase = true) })
        for (place in phone.ranked.indices) assertTrue("Western" in phone.row(place).findViewById<TextView>(R.id.caption).text)
        phone.tap(R.id.rank_all)
        phone.screenshot("group-light")
        take(1, "all")
        assertEquals(all, phone.ranked)
    }

    @Test
    fun aCatalogueWithoutGroupsHasNone() {
        phone.start()
        take(0, "Show 5")
        phone.pick(Phone.fixture("teas.tflite"))
        assertEquals(listOf("Show 6"), filters.map { it.text })
        assertEquals(listOf("Show 5", "Show 6", "Show 10", "Show 20"), take(0, "Show 20"))
        assertEquals(20, phone.ranked.size)
    }

    @Test
    fun anEmptyListCanBeUndone() {
        phone.start().pick(Phone.fixture("teas.tflite"))
        phone.search("darjeeling winter")
        phone.tap(R.id.only_these)
        val only = phone.ranked.single()
        hide(0)
        assertEquals(emptyList<String>(), phone.ranked)
        assertTrue(phone.isShown(R.id.statistics))
        undo.performClick()
        phone.settle()
        assertEquals(only, phone.row(0).findViewById<TextView>(R.id.title).text)
    }
}
