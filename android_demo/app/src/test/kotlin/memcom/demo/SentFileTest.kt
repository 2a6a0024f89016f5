package memcom.demo

import android.content.Intent
import android.net.Uri
import android.view.View
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.android.controller.ActivityController
import java.io.File

/** Model files that other apps open or share with this one. */
@RunWith(AppTestRunner::class)
class SentFileTest {
    private val teas = provided("teas.tflite")

    private fun provided(name: String): Uri = Phone.provide(Phone.fixture(name))

    private fun opened(uri: Uri?) = Intent(Intent.ACTION_VIEW).setDataAndType(uri, BYTES)

    private fun shared(uri: Uri?) = Intent(Intent.ACTION_SEND).setType(BYTES).putExtra(Intent.EXTRA_STREAM, uri)

    private fun controller(intent: Intent): ActivityController<MainActivity> =
        Robolectric.buildActivity(MainActivity::class.java, intent)

    private fun phone(intent: Intent) = Phone(controller(intent)).start()

    private val Phone.subtitle get() = activity.actionBar!!.subtitle

    @Test
    fun whatIsOpenedOrSharedIsCopiedAndRanked() {
        for (intent in listOf(opened(teas), shared(teas))) {
            val phone = phone(intent)
            assertEquals("teas.tflite", phone.subtitle)
            assertEquals(6, phone.ranked.size)
            val copy = phone.application.filesDir.resolve("imported.tflite")
            assertTrue(copy.readBytes().contentEquals(Phone.fixture("teas.tflite").readBytes()))
            copy.delete()
        }
    }

    @Test
    fun aRunningAppTakesAFileToo() {
        val started = controller(Intent(Intent.ACTION_MAIN))
        val phone = Phone(started).start()
        assertEquals("memcom_int8.tflite", phone.subtitle)
        started.newIntent(shared(teas))
        phone.settle()
        assertEquals("teas.tflite", phone.subtitle)
    }

    @Test
    fun aFileIsOpenedOnce() {
        val phone = phone(opened(teas))
        phone.session.open(phone.session.models.bundled.first())
        phone.settle()
        phone.rotate("+land")
        assertEquals("memcom_int8.tflite", phone.subtitle)
        val again = opened(teas).addFlags(Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY)
        assertEquals("memcom_int8.tflite", phone(again).subtitle)
    }

    @Test
    fun whatCannotBeUsedIsSaidAndReplacesNothing() {
        val advice = mapOf(
            opened(provided("damaged.tflite")) to "damaged",
            shared(provided("gone.tflite")) to "cannot be read",
            shared(null) to "cannot be read",
            opened(Uri.fromFile(Phone.fixture("teas.tflite"))) to "cannot be read",
            opened(Phone.provide("broken") { throw IllegalStateException("a provider that fails") }) to "cannot be read",
        )
        for ((intent, expected) in advice) {
            val phone = phone(intent)
            assertTrue("$intent", phone.isShown(R.id.failure))
            assertTrue("$intent: ${phone.text(R.id.failure_advice)}", expected in phone.text(R.id.failure_advice))
            assertEquals("memcom_int8.tflite", phone.subtitle)
            assertEquals(10, phone.ranked.size)
            assertEquals(emptyList<File>(), phone.application.filesDir.listFiles()!!.toList())
        }
        assertEquals("What was sent cannot be used", phone(shared(null)).text(R.id.failure_title))
    }

    @Test
    fun aFailureIsReadOnce() {
        val phone = phone(opened(provided("damaged.tflite")))
        val region = { phone.view<View>(R.id.failure).accessibilityLiveRegion }
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_ASSERTIVE, region())
        phone.rotate("+land")
        assertTrue("it stays until it is dismissed", phone.isShown(R.id.failure))
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_NONE, region())
        phone.pick(Phone.fixture("damaged.tflite"))
        assertEquals("another one is another", View.ACCESSIBILITY_LIVE_REGION_ASSERTIVE, region())
        phone.tap(R.id.failure_dismiss)
        assertFalse(phone.isShown(R.id.failure))
    }

    @Test
    fun otherAppsFindIt() {
        val packages = RuntimeEnvironment.getApplication().packageManager
        val found = { intent: Intent -> packages.queryIntentActivities(intent, 0).map { it.activityInfo.name } }
        assertEquals(listOf(MainActivity::class.java.name), found(opened(teas)))
        assertEquals(listOf(MainActivity::class.java.name), found(shared(teas)))
        assertEquals("pictures are none of its business", emptyList<String>(), found(opened(teas).setDataAndType(teas, "image/png")))
    }

    private companion object {
        const val BYTES = "application/octet-stream"
    }
}
