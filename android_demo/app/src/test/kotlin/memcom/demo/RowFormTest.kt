package memcom.demo

import android.widget.AutoCompleteTextView
import android.widget.Toolbar
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowListPopupWindow
import org.robolectric.shadows.ShadowLooper

/** A click model: its fields, and the probability while a person types. */
@RunWith(AppTestRunner::class)
class RowFormTest {
    private val phone = Phone()
    private val golden = JSONObject(Phone.fixture("clicks.golden.json").readText())

    private fun start(): Phone = phone.start().apply {
        choose("Star Wars")
        pick(Phone.fixture("clicks.tflite"))
    }

    private val Phone.fields get() = inputs(R.id.fields)

    private fun Phone.fill(field: String, text: String) {
        fields.getValue(field).setText(text)
        settle()
    }

    private fun percent(row: Int) = "%.1f %%".format(100 * golden.getJSONArray("outputs").getDouble(row))

    @Test
    fun aClickModelShowsItsFieldsAndTheProbability() {
        start()
        assertEquals("clicks.tflite", phone.activity.actionBar!!.subtitle)
        assertEquals(listOf("tea", "weekday", "flavours", "price", "age"), phone.fields.keys.toList())
        assertFalse(phone.isShown(R.id.ranking))
        assertFalse(phone.isShown(R.id.search))
        assertTrue(phone.text(R.id.form_statistics), phone.text(R.id.form_statistics).matches(STATISTICS))
        val rows = golden.getJSONArray("rows")
        assertTrue(rows.length() > 0)
        for (index in 0 until rows.length()) {
            val row = rows.getJSONObject(index)
            row.keys().forEach { name -> phone.fields.getValue(name).setText(if (row.isNull(name)) "" else row.getString(name)) }
            phone.settle()
            assertEquals("row $index", percent(index), phone.text(R.id.probability))
        }
    }

    @Test
    fun categoriesAreSuggestedWhileTyping() {
        start().fill("price", "8.5")
        assertEquals(List(6) { "Hōjicha, evening ${1990 + it}" }, phone.suggestions("tea", "hojicha evening 199"))
        assertEquals(listOf("floral"), phone.suggestions("flavours", "flo"))
        phone.takeSuggestion()
        assertEquals("floral", phone.fields.getValue("flavours").text.toString())
        val before = phone.text(R.id.probability)
        assertEquals(listOf("smoky"), phone.suggestions("flavours", "floral|SMO"))
        phone.takeSuggestion()
        assertEquals("floral|smoky", phone.fields.getValue("flavours").text.toString())
        assertTrue(before != phone.text(R.id.probability))
        assertEquals("floral|smoky", phone.session.state.row["flavours"])
    }

    private fun Phone.suggestions(field: String, typed: String): List<String> {
        val input = fields.getValue(field) as AutoCompleteTextView
        input.requestFocus()
        input.setText("")
        input.append(typed) // with the cursor behind it, as typing does
        repeat(3) {
            ShadowLooper.idleMainLooper()
            // The filter looks up on a thread of its own.
            ShadowLooper.getAllLoopers().forEach { shadowOf(it).idle() }
        }
        settle()
        assertTrue("they are shown", input.isPopupShowing)
        return List(input.adapter.count) { input.adapter.getItem(it) as String }
    }

    /** Takes the first that is suggested. */
    private fun Phone.takeSuggestion() {
        ShadowListPopupWindow.getLatestListPopupWindow().performItemClick(0)
        settle()
    }

    @Test
    fun whatIsNoNumberHasNoProbability() {
        start()
        val before = phone.text(R.id.probability)
        for (text in listOf("-", "1e39", "old")) {
            phone.fill("price", text)
            assertEquals(text, "–", phone.text(R.id.probability))
            assertEquals(text, "", phone.text(R.id.form_statistics))
        }
        phone.fill("price", " ")
        assertEquals("a blank is a missing number", before, phone.text(R.id.probability))
    }

    @Test
    fun rotationKeepsTheRow() {
        start().fill("tea", "Hōjicha, evening 1990")
        phone.fill("price", "8.5")
        val before = phone.text(R.id.probability)
        phone.rotate("+land")
        assertEquals("Hōjicha, evening 1990", phone.fields.getValue("tea").text.toString())
        assertEquals(before, phone.text(R.id.probability))
        assertTrue(phone.isShown(R.id.fields))
    }

    @Test
    fun aRankerComesBackWithItsHistory() {
        start()
        val compare = phone.view<Toolbar>(R.id.toolbar).menu.findItem(R.id.compare)
        assertFalse(compare.isVisible)
        phone.session.open(phone.session.models.bundled.first())
        phone.settle()
        assertTrue(compare.isVisible)
        assertEquals(listOf("Star Wars (1977)"), phone.chips)
        assertEquals(10, phone.ranked.size)
        assertFalse(phone.isShown(R.id.fields))
    }

    @Test
    fun theFormIsThereAfterARestart() {
        start()
        val application = phone.application
        application.session = application.newSession(FileModelStore(application))
        val restarted = Phone(Robolectric.buildActivity(MainActivity::class.java)).start()
        assertEquals(phone.fields.keys, restarted.fields.keys)
        assertEquals(percent(0), restarted.text(R.id.probability))
    }

    @Test
    fun itIsDrawn() {
        start()
        mapOf("tea" to "Hōjicha, evening 1990", "weekday" to "Saturday", "flavours" to "floral|smoky", "price" to "8.5")
            .forEach { (field, text) -> phone.fill(field, text) }
        phone.screenshot("form-light")
    }

    @Test
    fun itIsDrawnInTheDark() {
        RuntimeEnvironment.setQualifiers("+night")
        start().fill("price", "8.5")
        phone.screenshot("form-dark")
    }

    private companion object {
        val STATISTICS = Regex("""5 fields · \d+ kB · scored in \d+\.\d\d ms""")
    }
}
