package memcom.demo

import android.content.ContentResolver
import android.content.Context
import android.net.Uri
import android.provider.OpenableColumns
import memcom.core.ModelDescription
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
import java.io.InputStream
import java.io.OutputStream
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

    /**
     * What a document is called.
     *
     * @throws IOException if the app that has it does not answer
     */
    fun document(uri: Uri): ModelSource.Document

    /** Deletes the copy of the file that was opened last. */
    fun forget()
}

/**
 * Models in the app's assets and in its own folder.
 *
 * @param largest bytes of the largest file that is copied: what can be mapped at once
 */
class FileModelStore(private val context: Context, private val largest: Long = Int.MAX_VALUE.toLong()) : ModelStore {
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
        val name = answer(uri) { resolver ->
            resolver.query(uri, columns, null, null, null)?.use { rows -> if (rows.moveToFirst()) rows.getString(0) else null }
        }
        return ModelSource.Document(name ?: uri.lastPathSegment.orEmpty(), uri)
    }

    override fun forget() {
        imported.delete()
    }

    /** What another app says of its document; whatever it throws, the document cannot be read. */
    private fun <T> answer(uri: Uri, ask: (ContentResolver) -> T): T {
        // A path, such as of this app's own files, is nothing that another app may hand over.
        if (uri.scheme != ContentResolver.SCHEME_CONTENT) {
            throw IOException("The file must come as a content URI. Received: $uri. Open it in the system's picker.")
        }
        return try {
            ask(context.contentResolver)
        } catch (error: RuntimeException) {
            throw IOException("The app that has the file must hand it over. Received: $uri. Copy the file to the phone.", error)
        }
    }

    /**
     * The copy makes the model independent of where it came from: a file that another app cuts off
     * while it is mapped would end this one.
     */
    private fun import(document: ModelSource.Document): OpenModel {
        val beside = File.createTempFile("import", ".tflite", context.filesDir)
        try {
            val input = answer(document.uri) { it.openInputStream(document.uri) }
                ?: throw FileNotFoundException("The file must be readable. Received: ${document.uri}.")
            input.use { from -> beside.outputStream().use { to -> copy(from, to) } }
            val model = load(ModelSource.Imported(document.name), map(beside))
            try {
                replaced()?.let { model.file.requireNoOlderThan(it) }
                // Whoever reads the copy has the old file or the new one, and never a part.
                if (!beside.renameTo(imported)) throw IOException("The app's folder must be writable. Received: $imported.")
            } catch (error: Exception) {
                model.close()
                throw error
            }
            return model
        } finally {
            beside.delete() // where it was not renamed
        }
    }

    /** Copies a file that may be none of ours, and of such a one no more than its beginning. */
    private fun copy(from: InputStream, to: OutputStream) {
        val head = from.head()
        ModelFile.requireTflite(ByteBuffer.wrap(head))
        to.write(head)
        val chunk = ByteArray(DEFAULT_BUFFER_SIZE)
        var copied = head.size.toLong()
        while (true) {
            val count = from.read(chunk)
            if (count < 0) return
            copied += count
            if (copied > largest) throw tooLarge()
            to.write(chunk, 0, count)
        }
    }

    /** The first bytes, fewer where there are no more. */
    private fun InputStream.head(): ByteArray {
        val head = ByteArray(ModelFile.HEAD_BYTES)
        var known = 0
        while (known < head.size) {
            val count = read(head, known, head.size - known)
            if (count < 0) break
            known += count
        }
        return head.copyOf(known)
    }

    private fun tooLarge() = ModelFileException(
        Problem.TOO_LARGE,
        "The file must have at most $largest bytes. Received: more. Choose a smaller one.",
    )

    /** What is said of the file that another would replace; null where there is none, or none that can be read. */
    private fun replaced(): ModelDescription? = try {
        if (imported.exists()) ModelFile.read(map(imported)).description else null
    } catch (_: ModelFileException) {
        null
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
