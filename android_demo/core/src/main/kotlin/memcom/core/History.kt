package memcom.core

/** What a person chose, as ids in order of time; each item once. Immutable. */
data class History(val ids: List<Int> = emptyList()) {
    /** With [id] as the most recent. */
    operator fun plus(id: Int) = History(ids - id + id)

    operator fun minus(id: Int) = History(ids - id)

    /** The input of a model that sees [length] items: the most recent in order of time, then zeros. */
    fun row(length: Int): IntArray = ids.takeLast(length).toIntArray().copyOf(length)
}
