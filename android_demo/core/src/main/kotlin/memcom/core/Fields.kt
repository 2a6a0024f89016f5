package memcom.core

import java.nio.ByteBuffer

/** A field of the rows that a model takes. */
sealed class Field {
    abstract val name: String
}

/**
 * A field of categories.
 *
 * @property length how many values of a row are seen
 * @property separator what stands between several values in a text; null where a row has one
 * @property vocabulary the categories that are known
 */
class CategoryField internal constructor(
    override val name: String,
    val length: Int,
    val separator: String?,
    val vocabulary: Vocabulary,
) : Field() {
    /** Writes the ids of a value to the [length] places from [at], which hold zeros. */
    internal fun write(value: Any?, ids: IntArray, at: Int) {
        val text = text(value)
        val values = if (separator == null) listOf(text) else text.split(separator).map { it.trim(::isBlank) }
        values.filter { it.isNotEmpty() }.take(length).forEachIndexed { place, category ->
            ids[at + place] = vocabulary.idOf(category) ?: UNKNOWN_ID
        }
    }

    private fun text(value: Any?): String = when (value) {
        null -> ""
        is String -> value
        is Int, is Long -> value.toString()
        else -> throw IllegalArgumentException("The field `$name` must hold a text. Received: $value.")
    }

    private companion object {
        const val UNKNOWN_ID = 1

        // Those of the format: what platforms take for blank differs.
        const val BLANKS = "\t\n\u000b\u000c\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004" +
            "\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

        fun isBlank(letter: Char) = letter in BLANKS
    }
}

/** A field of numbers. */
class NumberField internal constructor(override val name: String) : Field() {
    /** The number as the model takes it, NaN where it is missing. */
    internal fun number(value: Any?): Float {
        val number = when (value) {
            null -> Float.NaN
            is Number -> value.toDouble().toFloat()
            else -> Float.POSITIVE_INFINITY
        }
        require(!number.isInfinite()) { "The field `$name` must hold a finite number. Received: $value." }
        return number
    }
}

/**
 * A row as a model takes it.
 *
 * @property ids those of the categories
 * @property numbers NaN where one is missing
 */
class RowInputs(val ids: IntArray, val numbers: FloatArray)

/**
 * The fields of the rows that a model takes, in the order of its inputs.
 *
 * Rules and bytes are specified in converters/VOCABULARY_FORMAT.md.
 *
 * @property slots ids of a row
 * @property numbers numbers of a row
 */
class Fields private constructor(private val all: List<Field>) : AbstractList<Field>() {
    val slots: Int = all.filterIsInstance<CategoryField>().sumOf { it.length }
    val numbers: Int = all.count { it is NumberField }

    override val size get() = all.size

    override fun get(index: Int): Field = all[index]

    /**
     * The inputs of the model for a row.
     *
     * @param row texts and numbers by field; what is null or left out is missing, and what is no
     *   field of the model is left out
     * @throws IllegalArgumentException if a number is infinite, or no number
     */
    fun encode(row: Map<String, Any?>): RowInputs {
        val inputs = RowInputs(IntArray(slots), FloatArray(numbers))
        var slot = 0
        var place = 0
        for (field in all) {
            val value = row[field.name]
            when (field) {
                is CategoryField -> {
                    field.write(value, inputs.ids, slot)
                    slot += field.length
                }
                is NumberField -> inputs.numbers[place++] = field.number(value)
            }
        }
        return inputs
    }

    companion object {
        private const val MAGIC = 0x444c464d // "MFLD", little-endian
        private const val FORMAT_VERSION = 1
        private const val HEADER_BYTES = 12L
        private const val FIRST_ID = 2

        /**
         * The fields of a description, with the vocabularies of the member `fields.bin`.
         *
         * @param content the bytes of the member, which must stay as they are; null where there is none
         * @throws IllegalArgumentException if they make no sense, or are not those described
         * @throws ModelFileException if they are of a later version
         */
        fun read(described: List<FieldDescription>, content: ByteBuffer?): Fields {
            require(described.distinctBy { it.name }.size == described.size) { "two fields have one name" }
            require(described.isNotEmpty()) { "there are no fields" }
            require(described.sumOf { it.length.toLong() } <= Int.MAX_VALUE) { "a row has too many values" }
            val vocabularies = content?.let(::readVocabularies).orEmpty()
            val tables = described.mapNotNull { it.table }.distinct()
            require(tables.size == vocabularies.size) { "${vocabularies.size} vocabularies for ${tables.size} tables" }
            val ofTables = tables.zip(vocabularies).toMap()
            return Fields(described.map { field ->
                val vocabulary = ofTables[field.table] ?: return@map NumberField(field.name)
                require(
                    vocabulary.fingerprint == field.vocabularyFingerprint &&
                        vocabulary.inputDim == field.inputDim && vocabulary.firstId == FIRST_ID,
                ) { "the vocabulary of the field ${field.name} is another one" }
                CategoryField(field.name, field.length, field.separator, vocabulary)
            })
        }

        private fun readVocabularies(content: ByteBuffer): List<Vocabulary> {
            val parts = Parts(content)
            val header = parts.take(HEADER_BYTES)
            require(header.getInt(0) == MAGIC) { "the vocabularies of fields have another beginning" }
            requireVersion("member fields.bin", FORMAT_VERSION, header.unsignedInt(4))
            val count = header.unsignedInt(8)
            val lengths = parts.take(Int.SIZE_BYTES * count)
            val vocabularies = List(count.toInt()) { Vocabulary.read(parts.take(lengths.unsignedInt(Int.SIZE_BYTES * it))) }
            parts.finish()
            return vocabularies
        }
    }
}
