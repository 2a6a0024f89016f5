package memcom.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.nio.ByteBuffer
import java.util.Random

class ModelFileTest {
    @Test
    fun aFileIsRead() {
        val test = TestFile()
        val file = test.ranker()
        assertEquals(test.graph.size, file.graph.limit())
        assertEquals(test.bytes().size, file.bytes)
        assertEquals("films", file.description.name)
        assertEquals("MEmComEmbedding", file.description.method)
        assertEquals(listOf("rank", "score", "embed"), file.description.signatures)
        assertEquals(listOf(2, 3, 4, 2), file.description.run { listOf(listLength, historyLength, inputDim, outputDim) })
        assertEquals(listOf("50", "7", "12"), file.vocabulary.items)
        assertEquals(1..3, file.vocabulary.ids)
        assertEquals("Drama", file.vocabulary.detail("genres", 2))
    }

    @Test
    fun sharedUnknownsReserveOneMoreId() {
        val file = TestFile(
            description = TestFile.DESCRIPTION.replace("\"input_dim\": 4", "\"input_dim\": 5"),
            vocabulary = TestFile.vocabulary(firstId = 2),
        ).ranker()
        assertEquals(listOf(4, 2), file.vocabulary.idsOf(listOf("12", "no such", "50")))
        assertEquals("12", file.vocabulary.item(4))
    }

    @Test
    fun anotherFileIsNoModel() {
        assertProblem(Problem.NOT_TFLITE, ByteArray(0))
        assertProblem(Problem.NOT_TFLITE, "PK not a model".toByteArray())
    }

    @Test
    fun aFileWithoutDescriptionIsForeign() {
        assertProblem(Problem.NO_DESCRIPTION, TestFile().graph)
        assertProblem(Problem.NO_DESCRIPTION, TestFile().bytes().let { it.copyOf(it.size - 10) })
        assertProblem(Problem.NO_DESCRIPTION, TestFile(description = TestFile.DESCRIPTION.replace("memcom_tf.model", "x")))
    }

    @Test
    fun anotherVersionIsRefused() {
        val version = { number: Int -> TestFile.DESCRIPTION.replace("\"format_version\": 2", "\"format_version\": $number") }
        assertProblem(Problem.LATER_VERSION, TestFile(description = version(3)))
        assertProblem(Problem.EARLIER_VERSION, TestFile(description = version(1)))
        assertProblem(Problem.DAMAGED, TestFile(description = version(0)))
        assertProblem(Problem.DAMAGED, TestFile(description = version(-1)))
        assertProblem(Problem.LATER_VERSION, TestFile(vocabulary = TestFile.vocabulary(version = 2)))
    }

    @Test
    fun aFileTakesThePlaceOfNoNewerOneOfItsModel() {
        val file = { version: String, name: String ->
            val described = TestFile.DESCRIPTION.replace("\"films\"", "\"$name\"").replace("\"k\": 2", "\"k\": 2$version")
            TestFile(description = described).ranker()
        }
        val second = file(", \"model_version\": 2", "films")
        assertEquals(listOf(2, 0), listOf(second, file("", "films")).map { it.description.modelVersion })
        for (newer in listOf(second, file(", \"model_version\": 3", "films"), file("", "teas"))) {
            newer.requireNoOlderThan(second.description)
        }
        second.requireNoOlderThan(file("", "films").description)
        for (older in listOf(file("", "films"), file(", \"model_version\": 1", "films"))) {
            val error = assertThrows(ModelFileException::class.java) { older.requireNoOlderThan(second.description) }
            assertEquals(Problem.OLDER_MODEL, error.problem)
            assertEquals("2", error.named)
        }
    }

    @Test
    fun aModelThatNeitherRanksNorTakesRowsIsRefused() {
        assertProblem(Problem.OTHER_MODEL, TestFile(description = TestFile.DESCRIPTION.replace("\"ranker\"", "\"model\"")))
    }

    @Test
    fun aModelOfRowsIsNoRanker() {
        val file = TestFile.ofRows(NUMBERS, null).read()
        assertEquals(listOf("age"), (file as ScorerFile).fields.map { it.name })
        val error = assertThrows(ModelFileException::class.java) { file.ranker() }
        assertEquals(Problem.NOT_A_RANKER, error.problem)
    }

    @Test
    fun aClassifierOfTextsIsRefused() {
        val texts = """[{"name": "body", "holds": "text", "table": "body", "input_dim": 3}]"""
        assertProblem(Problem.OTHER_MODEL, TestFile.ofRows(texts, null))
    }

    @Test
    fun aModelOfVectorsOfTextsIsNeitherARankerNorOneOfRows() {
        val file = ofTexts().read() as TextVectorsFile
        assertEquals(listOf(7, 5, 8), listOf(file.texts.length, file.texts.numBuckets, file.description.outputDim))
        val error = assertThrows(ModelFileException::class.java) { file.ranker() }
        assertEquals(Problem.NOT_A_RANKER, error.problem)
        assertProblem(Problem.OTHER_MODEL, ofTexts(outputDim = ""))
        assertProblem(Problem.OTHER_MODEL, ofTexts("[$NGRAMS, ${NUMBERS.drop(1)}"))
        assertProblem(Problem.OTHER_MODEL, TestFile(description = TestFile.DESCRIPTION.replace("\"k\": 2", "\"k\": 2, \"fields\": [$NGRAMS]")))
        assertProblem(Problem.DAMAGED, ofTexts(outputDim = "\"output_dim\": 0,"))
        assertProblem(Problem.DAMAGED, ofTexts("[${NGRAMS.replace("\"input_dim\": 7", "\"input_dim\": 2")}]"))
        assertProblem(Problem.DAMAGED, ofTexts(content = ByteArray(12)))
    }

    private fun ofTexts(fields: String = "[$NGRAMS]", outputDim: String = "\"output_dim\": 8,", content: ByteArray? = null) =
        TestFile.ofRows(fields, content).apply { description = description.replace("\"embeddings\"", "$outputDim \"embeddings\"") }

    @Test
    fun aRankerStaysOneWhateverFieldsItHas() {
        assertEquals(null, TestFile().ranker().fields)
        val described = TestFile.DESCRIPTION.replace("\"k\": 2", "\"k\": 2, \"fields\": $NUMBERS")
        val file = TestFile(description = described).ranker()
        assertEquals("films", file.description.name)
        assertEquals(listOf("age"), file.fields!!.map { it.name })
        assertProblem(Problem.DAMAGED, TestFile(description = described.replace(NUMBERS, "[]")))
        assertProblem(Problem.DAMAGED, TestFile(description = described, fields = ByteArray(12)))
    }

    @Test
    fun aRankerNeedsItsVocabulary() {
        val nameless = TestFile.DESCRIPTION.replace("\"${TestVocabulary.FINGERPRINT}\"", "null")
        assertProblem(Problem.NO_VOCABULARY, TestFile(description = nameless, vocabulary = null))
        assertProblem(Problem.DAMAGED, TestFile(vocabulary = null))
        assertProblem(Problem.DAMAGED, TestFile(vocabulary = TestFile.vocabulary(fingerprint = "00".repeat(32))))
        assertProblem(Problem.DAMAGED, TestFile(vocabulary = TestFile.vocabulary(firstId = 2)))
        assertProblem(Problem.DAMAGED, TestFile(vocabulary = TestFile.vocabulary().copyOf(90)))
    }

    @Test
    fun aRankerMayTakeNoHistory() {
        val length = { number: Int -> TestFile(description = TestFile.DESCRIPTION.replace("\"history_length\": 3", "\"history_length\": $number")) }
        assertEquals(0, length(0).ranker().description.historyLength)
        assertProblem(Problem.DAMAGED, length(-1))
    }

    @Test
    fun anyChangedByteOfGraphOrTextsIsNoticed() {
        val intact = TestFile().bytes()
        val text = String(intact, Charsets.ISO_8859_1)
        val members = Regex("PK\u0003\u0004").findAll(text).map { it.range.first }.toList()
        val directory = text.indexOf("PK\u0001\u0002")
        // Without the headers of members: most of their fields say again what the directory says.
        val positions = (8 until members[0]) + (members[0] + 41 until members[1]) + (members[1] + 44 until directory)
        for (position in positions) {
            val changed = intact.clone().also { it[position] = (it[position] + 1).toByte() }
            assertThrows("byte $position", ModelFileException::class.java) { ModelFile.read(ByteBuffer.wrap(changed)) }
        }
    }

    @Test
    fun noDamageThrowsAnythingElse() {
        val random = Random(0)
        val intact = TestFile().bytes()
        repeat(3000) {
            val damaged = intact.copyOf(intact.size - random.nextInt(3) * random.nextInt(intact.size / 2))
            repeat(1 + random.nextInt(8)) { damaged[random.nextInt(damaged.size)] = random.nextInt().toByte() }
            try {
                ModelFile.read(ByteBuffer.wrap(damaged))
            } catch (error: ModelFileException) {
                assertTrue(error.message!!.isNotEmpty())
            }
        }
    }

    private companion object {
        const val NUMBERS = """[{"name": "age", "holds": "numbers"}]"""
        const val NGRAMS = """{"name": "title", "holds": "ngrams", "length": 7, "table": "title", "input_dim": 7}"""
    }

    private fun assertProblem(problem: Problem, file: TestFile) = assertProblem(problem, file.bytes())

    private fun assertProblem(problem: Problem, bytes: ByteArray) {
        val error = assertThrows(ModelFileException::class.java) { ModelFile.read(ByteBuffer.wrap(bytes)) }
        assertEquals(error.message, problem, error.problem)
    }
}
