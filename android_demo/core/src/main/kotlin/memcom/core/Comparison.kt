package memcom.core

/**
 * Two models after the same history.
 *
 * @property first items of the first model's list, in the data set's names
 * @property second those of the second
 */
class Comparison(val first: List<String>, val second: List<String>) {
    /** Items in both lists. */
    val shared: Set<String> = first.toSet() intersect second.toSet()

    /** Places of the shorter list, of which [shared] fills some. */
    val places: Int get() = minOf(first.size, second.size)
}
