package memcom.demo

import android.content.ContentResolver
import android.content.Context
import android.net.Uri
import android.provider.OpenableColumns
import memcom.core.ModelFile
import memcom.core.ModelFileException
import memcom.core.Problem
import memcom.core.RankerFile
import memcom.core.Recommender
import memcom.core.ScorerFile
import memcom.core.TextVectorsFile
import memcom.tflite.TfliteRanker
import memcom.tflite.TfliteScorer
import java.io.File
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

/** The models that can be opened; what touches files is for a worker thread. */
interface ModelStore {
    /** Those of the app's package, smallest first. */
    val bundled: List<ModelSource.Bundled>

    /**
     * Opens a model; a document is copied into the app once it has proved to be one.
     *
     * @throws memcom.core.ModelFileException if the file is no model that this app understands
     * @throws IOException if it cannot be read or copied
     */
    fun open(source: ModelSource): OpenModel

    /** What a document is called. */
    fun document(uri: Uri): ModelSource.Document
}

/** Models in the app's assets and in its own folder. */
class FileModelStore(private val context: Context) : ModelStore {
    private val imported = File(context.filesDir, "imported.tflite")

    override val bundled: List<ModelSource.Bundled> by lazy {
        context.assets.list(FOLDER).orEmpty()
            .filter { it.endsWith(".tflite") }
            .sortedBy { name -> context.assets.openFd("$FOLDER/$name").use { it.declaredLength } }
            .map { ModelSource.Bundled(it) }
    }

    override fun open(source: ModelSource): OpenModel = when (source) {
        is ModelSource.Bundled -> load(source, mapAsset(source.name))
        is ModelSource.Imported -> load(source, map(imported))
        is ModelSource.Document -> import(source)
    }

    override fun document(uri: Uri): ModelSource.Document {
        val columns = arrayOf(OpenableColumns.DISPLAY_NAME)
        val name = if (uri.scheme == ContentResolver.SCHEME_CONTENT) {
            context.contentResolver.query(uri, columns, null, null, null)?.use { rows ->
                if (rows.moveToFirst()) rows.getString(0) else null
            }
        } else {
            null
        }
        return ModelSource.Document(name ?: uri.lastPathSegment.orEmpty(), uri)
    }

    /**
     * The copy makes the model independent of where it came from: a file that another app cuts off
     * while it is mapped would end this one.
     */
    private fun import(document: ModelSource.Document): OpenModel {
        val beside = File.createTempFile("import", ".tflite", context.filesDir)
        try {
            val input = context.contentResolver.openInputStream(document.uri)
                ?: throw FileNotFoundException("The file must be readable. Received: ${document.uri}.")
            input.use { from -> beside.outputStream().use { to -> from.copyTo(to) } }
            val model = load(ModelSource.Imported(document.name), map(beside))
            if (!beside.renameTo(imported)) {
                model.close()
                throw IOException("The app's folder must be writable. Received: $imported.")
            }
            return model
        } finally {
            beside.delete() // where it was not renamed
        }
    }

    private fun load(source: ModelSource, content: ByteBuffer): OpenModel = when (val file = ModelFile.read(content)) {
        is RankerFile -> OpenRanker(source, Recommender(file, TfliteRanker(file)))
        is ScorerFile -> OpenScorer(source, file, TfliteScorer(file))
        is TextVectorsFile -> throw ModelFileException(
            Problem.OTHER_MODEL,
            "The file must hold a ranker or a model of rows. Received: a model of vectors of texts. " +
                "Convert a memcom_tf.models.NextItemRanker or a ClickModel.",
        )
    }

    private fun mapAsset(name: String): ByteBuffer =
        context.assets.openFd("$FOLDER/$name").use { asset ->
            // Not createInputStream(): whether its channel starts at the asset depends on the version.
            FileInputStream(asset.fileDescriptor).channel
                .map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
        }

    private fun map(file: File): ByteBuffer =
        FileInputStream(file).use { it.channel.map(FileChannel.MapMode.READ_ONLY, 0, file.length()) }

    private companion object {
        const val FOLDER = "models"
    }
}
