package memcom.demo

import android.app.Activity
import android.content.Intent
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowAlertDialog
import java.io.File

/** Other models: from the picker, from the package, damaged ones, and none that fits. */
@RunWith(AppTestRunner::class)
class OpenFileTest {
    private val phone = Phone()

    @Test
    fun anotherCatalogueOpensThroughThePicker() {
        phone.start().choose("Star Wars")
        phone.tapMenu(R.id.choose_model)
        val dialog = shadowOf(ShadowAlertDialog.getLatestAlertDialog())
        assertEquals("Open a file…", dialog.items.last())
        dialog.clickOnItem(dialog.items.size - 1)
        val picker = shadowOf(phone.activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, picker.intent.action)
        val document = Intent().setData(Phone.provide(Phone.fixture("teas.tflite")))
        shadowOf(phone.activity).receiveResult(picker.intent, Activity.RESULT_OK, document)
        phone.settle()
        assertEquals("teas.tflite", phone.activity.actionBar!!.subtitle)
        assertEquals(6, phone.ranked.size)
        assertTrue(phone.text(R.id.statistics), phone.text(R.id.statistics).startsWith("40 titles"))
        assertEquals("films are no teas", emptyList<String>(), phone.chips)
        phone.choose("hojicha evening")
        assertEquals(listOf("Hōjicha, evening"), phone.chips)
        phone.screenshot("other-model-light")
    }

    @Test
    fun theOpenedFileIsThereAfterARestart() {
        phone.start().pick(Phone.fixture("teas.tflite"))
        phone.choose("assam")
        val ranked = phone.ranked
        val application = phone.application
        application.session = application.newSession(FileModelStore(application))
        val restarted = Phone(Robolectric.buildActivity(MainActivity::class.java)).start()
        assertEquals(ranked, restarted.ranked)
        assertEquals("teas.tflite", restarted.activity.actionBar!!.subtitle)
        assertEquals(1, restarted.chips.size)
    }

    @Test
    fun anotherModelOfTheSameFilmsKeepsTheHistory() {
        phone.start().choose("Star Wars")
        phone.tapMenu(R.id.choose_model)
        val dialog = ShadowAlertDialog.getLatestAlertDialog()
        shadowOf(dialog).clickOnItem(1)
        phone.settle()
        assertEquals("uncompressed_float32.tflite", phone.activity.actionBar!!.subtitle)
        assertEquals(listOf("Star Wars (1977)"), phone.chips)
        assertEquals(10, phone.ranked.size)
    }

    @Test
    fun badFilesAreSaidAndChangeNothing() {
        phone.start().choose("Star Wars")
        val ranked = phone.ranked
        val advice = mapOf(
            "no_model.tflite" to "no TensorFlow Lite file",
            "cut_off.tflite" to "incomplete",
            "damaged.tflite" to "damaged",
            "later_version.tflite" to "Update the app",
            "earlier_version.tflite" to "earlier version of memcom",
            "nameless.tflite" to "what its items are called",
            "unreadable_graph.tflite" to "cannot run the file",
            "titles.tflite" to "neither ranks nor scores rows",
            "clicks_of_fewer_fields.tflite" to "cannot run the file",
            "gone.tflite" to "cannot be read",
        )
        for ((name, expected) in advice) {
            phone.pick(Phone.fixture(name))
            assertTrue(name, phone.isShown(R.id.failure))
            assertEquals("$name cannot be used", phone.text(R.id.failure_title))
            assertTrue("$name: ${phone.text(R.id.failure_advice)}", expected in phone.text(R.id.failure_advice))
            assertEquals("memcom_int8.tflite", phone.activity.actionBar!!.subtitle)
            assertEquals(ranked, phone.ranked)
        }
        assertEquals("nothing half copied stays", emptyList<File>(), phone.application.filesDir.listFiles()!!.toList())
        phone.pick(Phone.fixture("damaged.tflite"))
        phone.screenshot("damaged-light")
        phone.tap(R.id.failure_dismiss)
        assertFalse(phone.isShown(R.id.failure))
    }

    @Test
    fun aModelThatFailsWhileRankingIsSaid() {
        phone.start().pick(Phone.fixture("too_many_items.tflite"))
        phone.choose("999")
        assertTrue("cannot run the file" in phone.text(R.id.failure_advice))
    }

    @Test
    fun aPackageWithoutModelsWaitsForAFile() {
        val files = FileModelStore(phone.application)
        phone.application.session = phone.application.newSession(object : ModelStore by files {
            override val bundled = emptyList<ModelSource.Bundled>()
        })
        phone.start()
        assertEquals("No model yet: open a file", phone.activity.actionBar!!.subtitle)
        phone.pick(Phone.fixture("teas.tflite"))
        assertEquals(6, phone.ranked.size)
    }

    @Test
    fun aFileTooLargeForTheMemoryIsSaid() {
        val files = FileModelStore(phone.application)
        phone.application.session = phone.application.newSession(object : ModelStore by files {
            override fun open(source: ModelSource) =
                if (source is ModelSource.Document) throw OutOfMemoryError() else files.open(source)
        })
        phone.start().pick(Phone.fixture("teas.tflite"))
        assertTrue("does not fit" in phone.text(R.id.failure_advice))
        assertEquals(10, phone.ranked.size)
    }

    @Test
    fun aLostCopyFallsBackToThePackage() {
        phone.start().pick(Phone.fixture("teas.tflite"))
        assertTrue(phone.application.filesDir.resolve("imported.tflite").delete())
        phone.application.session = phone.application.newSession(FileModelStore(phone.application))
        val restarted = Phone(Robolectric.buildActivity(MainActivity::class.java)).start()
        assertTrue("teas.tflite" in restarted.text(R.id.failure_title))
        assertEquals("memcom_int8.tflite", restarted.activity.actionBar!!.subtitle)
        assertEquals(10, restarted.ranked.size)
    }
}
