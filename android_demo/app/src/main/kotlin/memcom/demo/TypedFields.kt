package memcom.demo

import memcom.core.Catalogue
import memcom.core.CategoryField
import memcom.core.Field
import memcom.core.Fields
import memcom.core.NumberField

/** The fields of a model as a person fills them in: texts by field, of which an empty one is missing. */
class TypedFields(private val fields: Fields) : List<Field> by fields {
    private val catalogues = fields.filterIsInstance<CategoryField>().associate { it.name to Catalogue(it.vocabulary) }

    /** Values by field, as a model takes them; null where a text is not what its field holds. */
    fun values(texts: Map<String, String>): Map<String, Any?>? =
        if (misfit(texts) == null) associate { it.name to it.value(texts[it.name].orEmpty()) } else null

    /** The first field whose text is no finite number, where it should be one. */
    fun misfit(texts: Map<String, String>): Field? = firstOrNull { field ->
        when (val value = field.value(texts[field.name].orEmpty())) {
            is Double -> value.toFloat().isInfinite()
            null -> false
            else -> field is NumberField
        }
    }

    /** Categories of a field that fit a text, the most frequent first. */
    fun suggestions(field: CategoryField, text: String): List<String> =
        catalogues.getValue(field.name).search(text, SUGGESTIONS).map { it.title }

    private fun Field.value(text: String): Any? = when {
        this !is NumberField -> text
        text.isBlank() -> null
        else -> text.toDoubleOrNull() ?: text
    }

    private companion object {
        const val SUGGESTIONS = 6
    }
}
