package memcom.demo

import android.content.SharedPreferences
import org.json.JSONArray

/** What outlives the process: the history and the model that was open. */
class Memory(private val preferences: SharedPreferences) {
    /** Items of the history, in the data set's names: ids are another model's. */
    var history: List<String>
        get() = JSONArray(preferences.getString(HISTORY, "[]")).let { array ->
            List(array.length()) { array.getString(it) }
        }
        set(value) = preferences.edit().putString(HISTORY, JSONArray(value).toString()).apply()

    /** The model, or null before the first was opened. */
    var source: ModelSource?
        get() {
            val name = preferences.getString(SOURCE, null) ?: return null
            val imported = preferences.getBoolean(IMPORTED, false)
            return if (imported) ModelSource.Imported(name) else ModelSource.Bundled(name)
        }
        set(value) = preferences.edit()
            .putString(SOURCE, value?.name)
            .putBoolean(IMPORTED, value is ModelSource.Imported)
            .apply()

    private companion object {
        const val HISTORY = "history"
        const val SOURCE = "source"
        const val IMPORTED = "imported"
    }
}
