"""Complementary partitions of any number: a table for each, and one row of each for an id."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, combinations
from math import gcd, prod
from operator import mul
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from memcom_tf.approximation import compositions
from memcom_tf.approximation.compositions import OPERATIONS
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.ops.numpy_ops import NumpyOps
from memcom_tf.tables import RowSharing, Table, Tables, check_positive

PARTITIONS = ("mixed_radix", "coprime", "given")
STORED = "stored"
"""In a config in place of the classes, which are loaded with the weights."""
_SHOWN = 5


@register_method
class CompositionalEmbedding(CompressedEmbedding):
    """Complementary partitions: `vector(i) = T_1[p_1(i)] op ... op T_k[p_k(i)]`.

    A partition `p` puts every id into one of its classes, each of which has a row. Partitions are
    complementary where no two ids are in the same class of all of them, so that every id has a
    vector of its own. `partition` says which they are:

    - "mixed_radix": the digits of the id, `p_j(i) = i div (m_1 ... m_(j-1)) mod m_j`. With two it
      is `QuotientRemainderEmbedding`.
    - "coprime": remainders, `p_j(i) = i mod m_j`, of which no two `m` have a common divisor.
    - "given": `classes`, such as a category and a number within it. They are stored with the
      model, 2 bytes an id and partition, 4 where a partition has more than 32,768 classes.

    `op` is the elementwise product, the sum, or the concatenation of parts of equal width. To have
    each part as a feature of its own, concatenate, and give the last axis the shape
    `[k, output_dim / k]`.

    Source: Shi et al., Compositional embeddings using complementary partitions, KDD 2020,
    arXiv:1909.02107.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_buckets: Classes of the first partition. The others have as few, all alike or nearly,
            as tell its ids apart.
        num_partitions: Number of partitions, `k`, with `num_buckets`.
        sizes: Classes of each partition, `m_1` to `m_k`, in place of the two.
        partition: "mixed_radix", "coprime" or "given".
        operation: "mult", "add" or "concat".
        classes: `[input_dim, k]` integers, the class of each id in every partition, for "given",
            from 0 on, in place of all of these sizes. A config says "stored" and the sizes: the
            classes are a table of the layer, and are loaded with its weights.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range, a name unknown, or two ids are in the same class
            of every partition; they are named.

    Example:
        >>> layer = CompositionalEmbedding(1_000_000, 64, num_buckets=100)
        >>> layer.sizes, round(layer.compression_ratio)
        ((100, 100, 100), 3333)
        >>> genre, number = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 2])
        >>> of_genres = CompositionalEmbedding(
        ...     5, 8, partition="given", classes=np.stack([genre, number], axis=1)
        ... )
        >>> of_genres.sizes
        (2, 3)
    """

    formula = "T_1[p_1(i)] op ... op T_k[p_k(i)]"
    source = "arXiv:1909.02107"
    variants = (
        {"operation": "mult"},
        {"operation": "add", "partition": "coprime"},
        {"operation": "concat", "partition": "coprime", "num_partitions": 2},
    )
    size_argument = "num_buckets"
    can_grow = False

    def __init__(
        self,
        *args: Any,
        num_buckets: int | None = None,
        num_partitions: int = 3,
        sizes: Sequence[int] | None = None,
        partition: str = "mixed_radix",
        operation: str = "mult",
        classes: npt.ArrayLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if partition not in PARTITIONS:
            raise invalid(f"`partition` must be one of {PARTITIONS}.", partition=partition)
        if operation not in OPERATIONS:
            raise invalid(f"`operation` must be one of {OPERATIONS}.", operation=operation)
        self.partition, self.operation = partition, operation
        are_stored = isinstance(classes, str) and classes == STORED
        self._classes = None if classes is None or are_stored else self._checked(classes)
        if (classes is None) == (partition == "given"):
            raise invalid(
                '`classes` must be passed with partition="given", and with it alone.',
                partition=partition,
                classes=None if classes is None else np.shape(classes),
            )
        one_of = (num_buckets, sizes, self._classes)
        if sum(given is not None for given in one_of) != 1:
            raise invalid(
                "One of `num_buckets`, `sizes` and `classes` must be passed.",
                num_buckets=num_buckets,
                sizes=sizes,
                classes=None if classes is None else np.shape(classes),
            )
        self.num_buckets = None if num_buckets is None else int(num_buckets)
        self.num_partitions = int(num_partitions)
        self._are_sizes_given = num_buckets is None
        if self._classes is not None:
            sizes = [int(size) + 1 for size in self._classes.max(axis=0)]
        elif num_buckets is not None:
            check_positive(num_buckets=num_buckets, num_partitions=num_partitions)
            sizes = _sizes(partition, self.input_dim, int(num_buckets), int(num_partitions))
        if not isinstance(sizes, Sequence) or not sizes:
            raise invalid("`sizes` must be a list of integers, one or more.", sizes=sizes)
        for size in sizes:
            check_positive(sizes=size)
        self.sizes = tuple(int(size) for size in sizes)
        if partition != "given":
            self._require_complementary()
            self.sharing = RowSharing(min(self.sizes[0], self.input_dim)).of_ids(self.input_dim)
        if operation == "concat" and len(self.sizes) > self.output_dim:
            raise invalid(
                "`output_dim` must be at least the number of partitions to be concatenated.",
                output_dim=self.output_dim,
                sizes=self.sizes,
            )

    def _checked(self, classes: npt.ArrayLike) -> npt.NDArray[Any]:
        """Classes of each id, if no two ids are in the same of all."""
        array = np.asarray(classes)
        of_ids = array.ndim == 2 and len(array) == self.input_dim and array.shape[1] > 0
        if not of_ids or array.dtype.kind not in "iu" or array.min() < 0:
            raise invalid(
                "`classes` must be integers of 0 or more, `[input_dim, k]`.",
                shape=array.shape,
                dtype=str(array.dtype),
                input_dim=self.input_dim,
            )
        collisions = colliding_ids(array)
        if collisions:
            raise invalid(
                "No two ids must be in the same class of every partition.",
                "Add a partition that tells them apart, such as a number within the class.",
                ids=collisions[:_SHOWN],
                more=len(collisions) - len(collisions[:_SHOWN]),
            )
        return array

    def _require_complementary(self) -> None:
        if self.partition == "coprime":
            for one, other in combinations(self.sizes, 2):
                if gcd(one, other) != 1:
                    raise invalid(
                        "No two `sizes` of coprime partitions must have a common divisor.",
                        sizes=self.sizes,
                        with_a_divisor=(one, other),
                    )
        if prod(self.sizes) < self.input_dim:
            raise invalid(
                "The product of `sizes` must be at least `input_dim`: ids 0 and "
                f"{prod(self.sizes)} are in the same class of every partition.",
                "Choose more classes or more partitions.",
                sizes=self.sizes,
                input_dim=self.input_dim,
            )

    @property
    def _names(self) -> list[str]:
        return [f"partition_{index}" for index in range(len(self.sizes))]

    def tables(self) -> tuple[Table, ...]:
        count = len(self.sizes)
        widths = compositions.widths_of(self.operation, count, self.output_dim)
        terms = count if self.operation == "add" else 1
        factors = count if self.operation == "mult" else 1
        parts = tuple(
            Table(name, size, width, terms=terms, factors=factors, storage="int8_per_table")
            for name, size, width in zip(self._names, self.sizes, widths, strict=True)
        )
        if self.partition != "given":
            return parts
        index = Table.of_index(
            "classes",
            self.input_dim,
            count,
            num_values=max(self.sizes),
            initializer=self._initial_classes,
        )
        return (index, *parts)

    def _initial_classes(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Those that were passed; of a loaded layer its weights are set afterwards."""
        return tf.constant(np.zeros(shape) if self._classes is None else self._classes, dtype)

    def _rows(self, xp: Ops, ids: Array, t: Tables) -> list[Array]:
        """The row of each table that ids read."""
        if self.partition == "given":
            classes = xp.gather(t["classes"], ids)
            return [classes[..., index] for index in range(len(self.sizes))]
        if self.partition == "coprime":
            return [ids % size for size in self.sizes]
        below = [1, *accumulate(self.sizes, mul)]
        *digits, last = [ids // unit for unit in below[:-1]]
        return [*(digit % size for digit, size in zip(digits, self.sizes, strict=False)), last]

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        rows = self._rows(xp, ids, t)
        parts = [xp.gather(t[name], row) for name, row in zip(self._names, rows, strict=True)]
        return compositions.combined(self.operation, parts, xp.concat)

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        if self.operation == "mult" or self.partition == "given":
            return super().lookup_scores(xp, query, t)
        rows = self._rows(xp, xp.arange(self.input_dim), t)
        widths = compositions.widths_of(self.operation, len(self.sizes), self.output_dim)
        scores, at = [], 0
        for name, row, width in zip(self._names, rows, widths, strict=True):
            part = query[:, at : at + width]
            at += width if self.operation == "concat" else 0
            scores.append(xp.gather_columns(xp.scores(part, t[name]), row))
        return sum(scores[1:], start=scores[0])

    def approximate(self, table: np.ndarray, weights: np.ndarray) -> Tables:
        """Alternating least squares, in which each step is a weighted mean or a ratio of two."""
        if self.partition == "given" and self._classes is None:
            raise invalid("`classes` must be passed to approximate a table.", classes=STORED)
        if self._classes is None:
            rows = [np.asarray(of) for of in self._rows(NumpyOps(), np.arange(self.input_dim), {})]
        else:
            rows = list(self._classes.T)
        found = compositions.nearest(
            table,
            weights,
            dict(zip(self._names, rows, strict=True)),
            dict(zip(self._names, self.sizes, strict=True)),
            self.operation,
        )
        return found if self._classes is None else {"classes": self._classes, **found}

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(_root(input_dim, kwargs.get("num_partitions", 3)), input_dim + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_buckets": self.num_buckets,
            "num_partitions": self.num_partitions,
            "sizes": list(self.sizes) if self._are_sizes_given else None,
            "partition": self.partition,
            "operation": self.operation,
            "classes": STORED if self.partition == "given" else None,
        }


def colliding_ids(classes: npt.ArrayLike) -> list[list[int]]:
    """Ids that are in the same class of every partition, so that they would share a vector.

    Args:
        classes: `[n, k]` integers, the class of each id in every partition.

    Returns:
        Lists of two or more ids; none where the partitions are complementary.

    Example:
        >>> colliding_ids([[0, 0], [0, 1], [1, 0], [0, 1]])
        [[1, 3]]
    """
    _, group = np.unique(np.asarray(classes), axis=0, return_inverse=True)
    group = group.reshape(-1)
    shared = np.flatnonzero(np.bincount(group)[group] > 1)
    shared = shared[np.argsort(group[shared], kind="stable")]
    cuts = np.flatnonzero(np.diff(group[shared])) + 1
    return [part.tolist() for part in np.split(shared, cuts)] if len(shared) else []


def _root(input_dim: int, count: int) -> int:
    """The smallest number whose power is at least `input_dim`."""
    root = max(1, round(input_dim ** (1 / count)) - 1)
    while root**count < input_dim:
        root += 1
    return root


def _sizes(partition: str, input_dim: int, num_buckets: int, count: int) -> list[int]:
    """Classes of each partition, as few as tell ids of one class of the first apart."""
    sizes = [num_buckets]
    while len(sizes) < count:
        rest = -(-input_dim // prod(sizes))
        size = _root(rest, count - len(sizes))
        while partition == "coprime" and any(gcd(size, other) != 1 for other in sizes):
            size += 1
        sizes.append(size)
    return sizes
