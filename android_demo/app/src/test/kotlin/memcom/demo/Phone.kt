package memcom.demo

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.net.Uri
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.ListView
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import java.io.File
import java.io.InputStream
import java.util.concurrent.TimeUnit

/** What a person does with the app, and sees of it. */
class Phone(private val controller: ActivityController<MainActivity> = Robolectric.buildActivity(MainActivity::class.java)) {
    val application get() = RuntimeEnvironment.getApplication() as DemoApplication
    val activity: MainActivity get() = controller.get()
    val session get() = application.session

    fun start(): Phone {
        controller.setup().visible().windowFocusChanged(true)
        settle()
        return this
    }

    /** Lets the worker and then the main thread do all that they have to. */
    fun settle() = settle(application)

    fun search(text: String) {
        view<EditText>(R.id.search).setText(text)
        settle()
    }

    fun tapMatch(position: Int) {
        val list = view<ListView>(R.id.matches)
        list.performItemClick(null, position, position.toLong())
        settle()
    }

    fun choose(title: String) {
        search(title)
        tapMatch(0)
    }

    fun tapRanked(position: Int) {
        val list = view<ListView>(R.id.ranking)
        list.performItemClick(null, position + list.headerViewsCount, position.toLong())
        settle()
    }

    fun tap(id: Int) {
        view<View>(id).performClick()
        settle()
    }

    fun tapMenu(id: Int) {
        shadowOf(activity).clickMenuItem(id)
        settle()
    }

    /** Chooses a file in the system's picker. */
    fun pick(file: File) {
        session.open(provide(file))
        settle()
    }

    /** The fields of a form by name. */
    fun inputs(form: Int): Map<String, EditText> = view<ViewGroup>(form).let { list ->
        (0 until list.childCount step 2).associate { place ->
            val label = list.getChildAt(place) as TextView
            val input = list.getChildAt(place + 1) as EditText
            assertEquals(input.id, label.labelFor)
            label.text.toString() to input
        }
    }

    val matches get() = texts(R.id.matches, R.id.title)
    val ranked get() = texts(R.id.ranking, R.id.title)
    val reasons get() = texts(R.id.ranking, R.id.why)
    val chips get() = view<ViewGroup>(R.id.chips).let { row -> List(row.childCount) { (row.getChildAt(it) as TextView).text.toString() } }
    fun text(id: Int) = view<TextView>(id).text.toString()
    fun isShown(id: Int) = view<View>(id).isShown

    fun <T : View> view(id: Int): T = activity.findViewById(id)

    /** The view of a row of the ranked list. */
    fun row(position: Int): View = view<ListView>(R.id.ranking).let { list ->
        list.adapter.getView(position + list.headerViewsCount, null, list)
    }

    fun rotate(qualifiers: String) {
        RuntimeEnvironment.setQualifiers(qualifiers)
        controller.configurationChange()
        controller.visible()
        settle()
    }

    /** The screen as a picture, among those of the READMEs. */
    fun screenshot(name: String) = screenshot(activity, name)

    private fun texts(list: Int, text: Int): List<String> = view<ListView>(list).let { rows ->
        (rows.headerViewsCount until rows.adapter.count).map { position ->
            rows.adapter.getView(position, null, rows).findViewById<TextView>(text).text.toString()
        }
    }

    companion object {
        fun settle(application: DemoApplication) = repeat(5) {
            application.worker.submit {}.get(1, TimeUnit.MINUTES)
            shadowOf(Looper.getMainLooper()).idle()
        }

        fun screenshot(activity: Activity, name: String) {
            val view = activity.window.decorView
            val picture = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
            view.draw(Canvas(picture))
            val file = File(System.getProperty("demo.screenshots")!!, "$name.png")
            file.parentFile!!.mkdirs()
            file.outputStream().use { picture.compress(Bitmap.CompressFormat.PNG, 100, it) }
        }

        /** A document of that content, as the picker or another app hands it over. */
        fun provide(file: File): Uri = provide(file.name) { file.inputStream() }

        fun provide(name: String, content: () -> InputStream): Uri {
            val uri = Uri.parse("content://files/$name")
            shadowOf(RuntimeEnvironment.getApplication().contentResolver).registerInputStreamSupplier(uri) { content() }
            return uri
        }

        /** A file that tools/make_fixtures.py wrote. */
        fun fixture(name: String) = File(System.getProperty("demo.fixtures")!!, name)
    }
}
