package memcom.demo

import android.net.Uri
import memcom.core.Recommender

/** Where a model comes from; [name] is that of its file. */
sealed class ModelSource {
    abstract val name: String

    /** A file in the app's package. */
    data class Bundled(override val name: String) : ModelSource()

    /** The app's copy of the file that a person opened last. */
    data class Imported(override val name: String) : ModelSource()

    /** A file that a person chose in the system's picker, to be copied into the app. */
    data class Document(override val name: String, val uri: Uri) : ModelSource()
}

/** A model that is ready to rank. */
class OpenModel(val source: ModelSource, val recommender: Recommender)
