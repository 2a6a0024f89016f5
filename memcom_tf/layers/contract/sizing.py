"""Layers of a wanted size, layers that approximate a table, and layers that grow."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from memcom_tf.errors import invalid, message
from memcom_tf.layers.contract.table_layer import TableLayer
from memcom_tf.tables import Tables, check_positive


class SizedLayer(TableLayer):
    """A layer that is made for a size, from a trained table, or larger than it was."""

    @classmethod
    def for_ratio(cls, input_dim: int, output_dim: int, ratio: float, **kwargs: Any) -> Any:
        """The largest layer that is at least `ratio` times smaller than a plain embedding.

        Args:
            input_dim: Size of the vocabulary.
            output_dim: Width of an embedding.
            ratio: Wanted `compression_ratio`, 1 or more.
            **kwargs: Further arguments of the layer.

        Returns:
            A layer of the class. Its ratio is the wanted one up to the step of its size.

        Raises:
            ValueError: If `ratio` is below 1 or above what the method can reach, which is named.
        """
        check_positive(input_dim=input_dim, output_dim=output_dim)
        if not ratio >= 1:
            raise invalid("`ratio` must be 1 or more.", ratio=ratio)

        def sized(size: int, **more: Any) -> Any:
            argument = {cls.size_argument: size} if cls.size_argument else {}
            shape = {"input_dim": input_dim, "output_dim": output_dim}
            return cls(**{**shape, **argument, **kwargs, **more})

        def trial(size: int) -> Any:
            # With a name: Keras counts the layers of a class that it names itself.
            return sized(size, name="trial", weights=None)

        sizes = cls.size_range(input_dim, output_dim, **kwargs)
        smallest = trial(sizes[0])
        if smallest.compression_ratio < ratio:
            raise invalid(
                f"`ratio` must be at most {smallest.compression_ratio:.6g} for {cls.__name__} "
                f"with input_dim={input_dim}, output_dim={output_dim}.",
                "Choose a smaller ratio or another method.",
                ratio=ratio,
                **kwargs,
            )
        largest = largest_that_fits(sizes, lambda size: trial(size).compression_ratio >= ratio)
        return sized(sizes[0] if largest is None else largest)

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        ratio: float | None = None,
        frequencies: Any = None,
        metric: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A layer that looks up nearly what a trained table holds, without training.

        Args:
            table: `[input_dim, output_dim]`, of `keras.layers.Embedding.get_weights()[0]`, say.
            ratio: Wanted `compression_ratio`, as `for_ratio` takes it; None where the size is
                among `kwargs`.
            frequencies: `[input_dim]` how often each id occurs, which is the weight of its error;
                None weighs all alike. An id that never occurs is not approximated.
            metric: `[output_dim, output_dim]`, positive semi-definite: errors `e` of a vector
                count as `e^T metric e`. With the second moment of the queries, `Q^T Q` over rows
                of `Q`, these are the errors of scores. None takes the squared length.
            **kwargs: Further arguments of the layer.

        Returns:
            The layer, built.

        Raises:
            ValueError: If shapes do not fit, a number is not finite, the method takes no
                `metric`, or as the constructor.
            NotImplementedError: If the method can only be trained.

        Example:
            >>> from memcom_tf import MEmComEmbedding
            >>> table = np.outer(np.arange(1, 11), np.ones(4))  # ten multiples of one row
            >>> layer = MEmComEmbedding.from_table(table, num_buckets=2)
            >>> np.allclose(layer(np.arange(10)), table, rtol=1e-5)
            True
        """
        values = np.asarray(table, np.float32)
        if values.ndim != 2 or not np.isfinite(values).all():
            raise invalid(
                "`table` must be `[input_dim, output_dim]`, finite.",
                shape=values.shape,
                finite=bool(np.isfinite(values).all()),
            )
        weights = np.ones(len(values)) if frequencies is None else np.asarray(frequencies)
        if weights.shape != (len(values),) or not ((weights >= 0) & np.isfinite(weights)).all():
            raise invalid(
                "`frequencies` must hold one finite number of 0 or more for each row of the table.",
                frequencies=weights.shape,
                table=values.shape,
            )
        if not weights.any():
            raise invalid("`frequencies` must not all be 0.", "Leave them out.")
        rows, width = values.shape
        sized: Any = cls if ratio is None else partial(cls.for_ratio, ratio=ratio)
        layer = sized(rows, width, **kwargs)
        measured_by = () if metric is None else (_checked_metric(cls, metric, width),)
        tables = layer._nearest_tables(values, weights.astype(np.float32), *measured_by)
        layer.build(None)
        layer.assign_tables(tables)
        return layer

    def _nearest_tables(self, table: np.ndarray, *weighed: np.ndarray) -> Tables:
        """What `approximate` finds, if the method has a closed form."""
        tables = self.approximate(table, *weighed)
        if tables is None:
            raise self._only_trained()
        return tables

    def _only_trained(self) -> NotImplementedError:
        return NotImplementedError(
            message(
                f"{type(self).__name__} must be trained: it has no tables in closed form.",
                "Choose another method, or train it on the vectors of the table.",
            )
        )

    def grown(self, input_dim: int) -> Any:
        """This layer for a larger vocabulary: what it looks up for the ids so far stays.

        Args:
            input_dim: At least that of this layer.

        Returns:
            A layer of its own, built; what further ids alone need is as the initializers make it.

        Raises:
            ValueError: If `input_dim` is smaller.
            NotImplementedError: If it is larger, and decides where the method looks ids up.

        Example:
            >>> from memcom_tf import MEmComEmbedding
            >>> layer = MEmComEmbedding(10, 4, num_buckets=3)
            >>> larger = layer.grown(12)
            >>> larger.input_dim, np.array_equal(larger(np.arange(10)), layer(np.arange(10)))
            (12, True)
        """
        check_positive(input_dim=input_dim)
        if input_dim < self.input_dim:
            raise invalid(
                f"`input_dim` must be at least {self.input_dim}, that of the self.",
                "Ids cannot be taken away.",
                input_dim=input_dim,
            )
        if input_dim > self.input_dim and not self.can_grow:
            raise NotImplementedError(
                message(
                    f"{type(self).__name__} cannot grow: which ids share what changes with "
                    "`input_dim`.",
                    "Choose another method, or an `input_dim` with room from the start.",
                    input_dim=input_dim,
                )
            )
        grown = type(self).from_config({**self.get_config(), "input_dim": int(input_dim)})
        grown.build(None)
        tables = grown.table_values()
        for name, values in self.table_values().items():
            tables[name] = np.concatenate([values, tables[name][len(values) :]])
        grown.assign_tables(tables)
        return grown


def largest_that_fits(sizes: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """The largest of rising sizes that fits, of which the smaller do if a larger one does.

    Example:
        >>> largest_that_fits(range(100), lambda size: size**2 <= 50)
        7
    """
    place = bisect_left(sizes, True, key=lambda size: not fits(size))
    return sizes[place - 1] if place else None


def _checked_metric(cls: Any, metric: Any, output_dim: int) -> np.ndarray:
    if not cls.takes_metric:
        raise invalid(
            f"`metric` must be None for {cls.__name__}, which measures errors by their length.",
            "Leave it out, or choose a method of codebooks.",
        )
    matrix = np.asarray(metric, np.float64)
    fits = matrix.shape == (output_dim, output_dim) and np.isfinite(matrix).all()
    if not fits or not np.allclose(matrix, matrix.T, rtol=1e-4, atol=1e-6 * np.abs(matrix).max()):
        raise invalid(
            "`metric` must be `[output_dim, output_dim]`, finite and symmetric.",
            "Pass the second moment of queries, `Q.T @ Q`.",
            metric=matrix.shape,
            output_dim=output_dim,
        )
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[-1] <= 0 or eigenvalues[0] < -1e-4 * eigenvalues[-1]:
        raise invalid(
            "`metric` must be positive semi-definite, and not zero.",
            "Pass the second moment of queries, `Q.T @ Q`.",
            smallest_eigenvalue=eigenvalues[0].item(),
            largest_eigenvalue=eigenvalues[-1].item(),
        )
    return matrix
