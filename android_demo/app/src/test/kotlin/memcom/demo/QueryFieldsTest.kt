package memcom.demo

import android.view.View
import memcom.core.RankerFile
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** A ranker that takes fields: beside a history, or alone. */
@RunWith(AppTestRunner::class)
class QueryFieldsTest {
    private val phone = Phone()
    private val fields get() = phone.inputs(R.id.query_fields)

    private fun start(name: String) = phone.start().apply {
        choose("Star Wars")
        pick(Phone.fixture(name))
    }

    private fun fill(row: JSONObject) {
        row.keys().forEach { name -> fields.getValue(name).setText(if (row.isNull(name)) "" else row.getString(name)) }
        phone.settle()
    }

    private fun titles(ids: JSONArray): List<String> {
        val file = phone.session.state.model!!.file as RankerFile
        return List(ids.length()) { file.vocabulary.detail("title", ids.getInt(it))!! }
    }

    private fun cases(name: String): List<JSONObject> =
        JSONObject(Phone.fixture(name).readText()).getJSONArray("cases").let { cases -> List(cases.length()) { cases.getJSONObject(it) } }

    @Test
    fun itRanksByHistoryAndFields() {
        start("offers.tflite")
        assertEquals(listOf("weekday", "flavours", "age"), fields.keys.toList())
        assertTrue(listOf(R.id.search, R.id.query_fields, R.id.history_hint, R.id.ranking).all(phone::isShown))
        assertFalse("this is no click model", phone.isShown(R.id.fields))
        for (case in cases("offers.golden.json")) {
            phone.session.state.history.forEach { phone.session.remove(it.id) }
            val history = case.getJSONArray("history")
            for (place in 0 until history.length()) phone.session.add(history.getInt(place))
            fill(case.getJSONObject("row"))
            assertEquals(titles(case.getJSONArray("ids")), phone.ranked)
        }
        fill(JSONObject(mapOf("weekday" to "Saturday", "flavours" to "floral|smoky", "age" to "31")))
        phone.screenshot("fields-light")
    }

    @Test
    fun theFieldsMakeRoomForASearchAndStayAfterRotation() {
        start("offers.tflite")
        fields.getValue("weekday").setText("Sunday")
        phone.search("assam")
        assertFalse(phone.isShown(R.id.query_fields))
        phone.rotate("+land")
        assertTrue(phone.isShown(R.id.query_fields))
        assertEquals("Sunday", fields.getValue("weekday").text.toString())
    }

    @Test
    fun withoutAHistoryThereIsNothingToChoose() {
        start("today.tflite")
        assertFalse(listOf(R.id.search, R.id.history_hint, R.id.chips, R.id.matches).any(phone::isShown))
        assertFalse(phone.row(0).findViewById<View>(R.id.add).visible)
        assertEquals("Next for you", phone.text(R.id.ranking_title))
        for (case in cases("today.golden.json")) {
            fill(case.getJSONObject("row"))
            assertEquals(titles(case.getJSONArray("ids")), phone.ranked)
        }
        phone.session.open(phone.session.models.bundled.first())
        phone.settle()
        assertEquals("it is still known what was chosen", listOf("Star Wars (1977)"), phone.chips)
        assertEquals(emptyMap<String, Any>(), fields)
    }

    @Test
    fun whatIsNoNumberIsSaid() {
        start("today.tflite")
        val before = phone.ranked
        for (text in listOf("old", "1e39")) {
            fields.getValue("age").setText(text)
            phone.settle()
            assertEquals("age must be a number.", phone.text(R.id.statistics))
            assertEquals(emptyList<String>(), phone.ranked)
        }
        fields.getValue("age").setText(" ")
        phone.settle()
        assertEquals("a blank is a missing number", before, phone.ranked)
        fields.getValue("age").setText("900")
        phone.settle()
        assertNotEquals(before, phone.ranked)
    }

    @Test
    fun anInputThatIsNoFieldIsNamed() {
        start("offers_by_hour.tflite")
        assertTrue(phone.text(R.id.failure_advice), "“hour”" in phone.text(R.id.failure_advice))
        assertTrue("Python alone" in phone.text(R.id.failure_advice))
        assertEquals(listOf("Star Wars (1977)"), phone.chips)
    }
}
