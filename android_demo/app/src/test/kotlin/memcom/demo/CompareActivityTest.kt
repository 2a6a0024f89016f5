package memcom.demo

import android.content.Intent
import android.view.ViewGroup
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

/** The compressed model beside the uncompressed one. */
@RunWith(AppTestRunner::class)
class CompareActivityTest {
    private val phone = Phone()

    private fun compare(): CompareActivity {
        phone.start()
        listOf("Star Wars", "Fargo", "Alien").forEach(phone::choose)
        phone.tapMenu(R.id.compare)
        val intent: Intent = shadowOf(phone.activity).nextStartedActivity
        assertEquals(CompareActivity::class.java.name, intent.component!!.className)
        val activity = Robolectric.buildActivity(CompareActivity::class.java, intent).setup().visible().get()
        phone.settle()
        return activity
    }

    private fun CompareActivity.side(id: Int): ViewGroup = findViewById(id)

    private fun ViewGroup.text(id: Int) = findViewById<TextView>(id).text.toString()

    private fun ViewGroup.list() = findViewById<ViewGroup>(R.id.model_list).let { list ->
        List(list.childCount) { list.getChildAt(it) as TextView }
    }

    @Test
    fun bytesTimesAndListsStandSideBySide() {
        val activity = compare()
        val first = activity.side(R.id.first)
        val second = activity.side(R.id.second)
        assertEquals("MEmCom, int8", first.text(R.id.model_kind))
        assertEquals("Full, float32", second.text(R.id.model_kind))
        assertTrue(activity.findViewById<TextView>(R.id.headline).text.matches(Regex("""[78]\.\d× smaller""")))
        for (side in listOf(first, second)) {
            assertTrue(side.text(R.id.model_time).matches(Regex("""\d+\.\d\d ms to rank""")))
            assertTrue(side.text(R.id.model_file_bytes).endsWith("kB with titles"))
        }
        assertEquals(phone.ranked, first.list().map { it.text.toString().substringAfter(". ") })
        val shared = first.list().count { it.isActivated }
        assertEquals(shared, second.list().count { it.isActivated })
        assertEquals("$shared of 10 the same", activity.findViewById<TextView>(R.id.overlap).text)
        assertTrue("two models of the same data agree on some films", shared > 0)
        assertTrue(first.list().all { it.contentDescription.endsWith(if (it.isActivated) "in both lists" else "in this list only") })
        Phone.screenshot(activity, "compare-light")
    }

    @Test
    fun itIsDrawnInTheDark() {
        RuntimeEnvironment.setQualifiers("+night")
        Phone.screenshot(compare(), "compare-dark")
    }

    @Test
    fun aModelThatDoesNotRankIsSaid() {
        val files = FileModelStore(phone.application)
        val clicks = ModelSource.Bundled("clicks.tflite")
        phone.application.session = phone.application.newSession(object : ModelStore by files {
            override val bundled = listOf(files.bundled.first(), clicks)

            override fun open(source: ModelSource) = files.open(
                if (source == clicks) files.document(Phone.provide(Phone.fixture(clicks.name))) else source,
            )
        })
        val activity = compare()
        assertEquals("clicks.tflite cannot be used", activity.findViewById<TextView>(R.id.failure_title).text)
        assertTrue("does not rank" in activity.findViewById<TextView>(R.id.failure_advice).text)
    }

    @Test
    fun aNewProcessStartsWithTheFirstScreen() {
        phone.application.session = phone.application.newSession(FileModelStore(phone.application))
        assertTrue(Robolectric.buildActivity(CompareActivity::class.java).setup().get().isFinishing)
    }
}
