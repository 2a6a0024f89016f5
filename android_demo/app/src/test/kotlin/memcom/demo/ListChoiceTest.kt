package memcom.demo

import android.view.View
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

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
