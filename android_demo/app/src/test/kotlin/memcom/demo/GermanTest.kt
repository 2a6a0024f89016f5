package memcom.demo

import android.widget.Button
import android.view.ViewGroup
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

/** The app in its second language. */
@RunWith(AppTestRunner::class)
class GermanTest {
    private val phone = Phone()

    @Test
    fun wordsAndNumbersAreGerman() {
        RuntimeEnvironment.setQualifiers("+de")
        phone.start()
        assertEquals("Zum Anfang", phone.text(R.id.ranking_title))
        assertTrue(phone.text(R.id.statistics), phone.text(R.id.statistics).matches(Regex("""1\.682 Titel · \d+ kB · in \d+,\d\d ms geordnet""")))
        listOf("Star Wars", "Fargo", "Alien").forEach(phone::choose)
        assertEquals("10 zeigen", (phone.view<ViewGroup>(R.id.filters).getChildAt(0) as Button).text)
        assertTrue(phone.reasons.all { it.startsWith("Wegen ") })
        phone.screenshot("german-light")
        phone.pick(Phone.fixture("later_version.tflite"))
        assertEquals("later_version.tflite kann nicht verwendet werden", phone.text(R.id.failure_title))
    }
}
