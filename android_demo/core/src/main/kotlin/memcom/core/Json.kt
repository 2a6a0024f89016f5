package memcom.core

import com.google.gson.stream.JsonReader
import com.google.gson.stream.JsonToken

// Streaming: what this version does not know is skipped, and takes no memory.

/** Reads an object; [read] must consume the value of the field that it is given. */
internal inline fun JsonReader.forEachField(read: (name: String) -> Unit) {
    beginObject()
    while (hasNext()) read(nextName())
    endObject()
}

/** Reads an array; [read] must consume one element. */
internal inline fun JsonReader.forEachElement(read: () -> Unit) {
    beginArray()
    while (hasNext()) read()
    endArray()
}

/** The next value as text; null for null, arrays and objects, which are skipped. */
internal fun JsonReader.nextScalar(): String? = when (peek()) {
    JsonToken.STRING, JsonToken.NUMBER -> nextString()
    JsonToken.BOOLEAN -> nextBoolean().toString()
    else -> {
        skipValue()
        null
    }
}

/** The scalar fields of an object, as text. */
internal fun JsonReader.readScalars(): Map<String, String?> {
    val fields = HashMap<String, String?>()
    forEachField { name -> fields[name] = nextScalar() }
    return fields
}
