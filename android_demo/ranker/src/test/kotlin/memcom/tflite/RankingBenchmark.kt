package memcom.tflite

import memcom.core.ModelFile
import memcom.core.Recommender
import java.io.File
import java.io.FileInputStream
import java.nio.channels.FileChannel
import java.util.Random

/**
 * What ranking costs in one process: opens a model file as the app does, ranks, and prints a line
 * of JSON with times in milliseconds and memory in bytes.
 *
 *     RankingBenchmark MODEL RANKINGS
 */
object RankingBenchmark {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val (path, rankings) = arguments[0] to arguments[1].toInt()
        val memory = LinkedHashMap<String, Map<String, Long>>()
        memory["start"] = memory()
        val start = System.nanoTime()
        val content = FileInputStream(path).channel.map(FileChannel.MapMode.READ_ONLY, 0, File(path).length())
        val file = ModelFile.read(content).ranker()
        memory["titles"] = memory()
        val ranker = TfliteRanker(file)
        val recommender = Recommender(file, ranker)
        ranker.rank(file.query())
        val loaded = System.nanoTime() - start
        memory["loaded"] = memory()
        val random = Random(0)
        val ids = file.vocabulary.ids
        val queries = List(rankings) {
            val drawn = List(1 + random.nextInt(file.description.historyLength)) { ids.first + random.nextInt(ids.last - ids.first) }
            file.query(drawn.distinct())
        }
        queries.forEach { ranker.rank(it) }
        val times = queries.map { query ->
            val before = System.nanoTime()
            ranker.rank(query)
            (System.nanoTime() - before) / 1e6
        }.sorted()
        memory["ranked"] = memory()
        recommender.close()
        fun quantile(share: Double) = times[(share * (times.size - 1)).toInt()]
        val memoryJson = memory.entries.joinToString { (stage, parts) ->
            "\"$stage\": {${parts.entries.joinToString { "\"${it.key}\": ${it.value}" }}}"
        }
        println(
            """{"ms": ${quantile(.5)}, "ms_p05": ${quantile(.05)}, "ms_p95": ${quantile(.95)}, """ +
                """"load_ms": ${loaded / 1e6}, "memory": {$memoryJson}}""",
        )
    }

    /** Resident memory, without what the collector of garbage would return. */
    private fun memory(): Map<String, Long> {
        repeat(3) { System.gc() }
        val fields = File("/proc/self/status").readLines().map { it.split(":", limit = 2) }
        return listOf("RssAnon", "RssFile").associateWith { name ->
            fields.first { it[0] == name }[1].trim().removeSuffix(" kB").toLong() * 1024
        }
    }
}
