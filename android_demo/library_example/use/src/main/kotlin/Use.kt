import memcom.core.History
import memcom.core.ModelFile
import memcom.core.Recommender
import memcom.tflite.TfliteRanker
import java.io.File
import java.io.FileInputStream
import java.nio.channels.FileChannel

/** Ranks after what titles are searched for: `Use FILE.tflite TITLE...`. */
fun main(arguments: Array<String>) {
    val path = File(arguments[0])
    val content = FileInputStream(path).use { it.channel.map(FileChannel.MapMode.READ_ONLY, 0, path.length()) }
    val file = ModelFile.read(content).ranker()
    Recommender(file, TfliteRanker(file)).use { recommender ->
        var history = History()
        for (title in arguments.drop(1)) history += recommender.catalogue.search(title, limit = 1).single().id
        for (row in recommender.recommend(history).rows) {
            println("${row.item.id}\t${row.score}\t${row.item.title}\t${row.reasons.firstOrNull()?.item?.title}")
        }
    }
}
