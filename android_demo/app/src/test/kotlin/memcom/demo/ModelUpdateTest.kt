package memcom.demo

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowAlertDialog
import java.io.InputStream

/** A newer file of a model takes the place of the one before, an older one does not. */
@RunWith(AppTestRunner::class)
class ModelUpdateTest {
    private val phone = Phone()
    private val copy get() = phone.application.filesDir.resolve("imported.tflite")
    private val advice get() = phone.text(R.id.failure_advice)

    private fun isInPlace(name: String) {
        assertArrayEquals(Phone.fixture(name).readBytes(), copy.readBytes())
        assertEquals(name, phone.activity.actionBar!!.subtitle)
        assertEquals("nothing half copied stays", listOf(copy), phone.application.filesDir.listFiles()!!.toList())
    }

    @Test
    fun aNewerFileTakesThePlaceAndAnOlderOneIsRefused() {
        phone.start()
        for (name in listOf("teas.tflite", "teas_2.tflite", "teas_2.tflite", "teas_3.tflite")) {
            phone.pick(Phone.fixture(name))
            assertFalse(name, phone.isShown(R.id.failure))
            isInPlace(name)
        }
        for (name in listOf("teas_2.tflite", "teas.tflite")) {
            phone.pick(Phone.fixture(name))
            assertEquals("$name cannot be used", phone.text(R.id.failure_title))
            assertTrue(advice, "older than" in advice && "version 3" in advice)
            isInPlace("teas_3.tflite")
            assertEquals(6, phone.ranked.size)
        }
    }

    @Test
    fun anotherModelIsNoOlderOne() {
        phone.start().pick(Phone.fixture("teas_3.tflite"))
        phone.pick(Phone.fixture("offers.tflite"))
        isInPlace("offers.tflite")
    }

    @Test
    fun whatWasOpenedCanBeRemoved() {
        phone.start().pick(Phone.fixture("teas_3.tflite"))
        phone.tapMenu(R.id.choose_model)
        val dialog = shadowOf(ShadowAlertDialog.getLatestAlertDialog())
        assertEquals("Remove teas_3.tflite from the app", dialog.items.last())
        dialog.clickOnItem(dialog.items.size - 1)
        phone.settle()
        assertEquals("memcom_int8.tflite", phone.activity.actionBar!!.subtitle)
        assertFalse(copy.exists())
        phone.pick(Phone.fixture("teas_2.tflite"))
        isInPlace("teas_2.tflite")
    }

    @Test
    fun ofAnotherFileNoMoreThanItsBeginningIsCopied() {
        var taken = 0
        val endless = object : InputStream() {
            override fun read() = 0.also { check(++taken < 1000) { "it is copied on and on" } }
        }
        phone.start()
        phone.session.open(Phone.provide("endless.tflite") { endless })
        phone.settle()
        assertTrue(advice, "no TensorFlow Lite file" in advice)
    }

    @Test
    fun aFileThatNoPhoneCouldMapIsSaid() {
        phone.application.session = phone.application.newSession(FileModelStore(phone.application, largest = 1000))
        phone.start().pick(Phone.fixture("teas.tflite"))
        assertTrue(advice, "larger than 2 GB" in advice)
        assertFalse(copy.exists())
    }
}
