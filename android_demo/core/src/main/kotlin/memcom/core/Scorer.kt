package memcom.core

/** A model of rows, such as a click model. Not safe for use by several threads at once. */
interface Scorer : AutoCloseable {
    /** What the model says of a row: of a click model the probability of a click. */
    fun score(row: RowInputs): Float
}
