"""What the methods of codebooks share: codes of every id, and the books that they choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

if TYPE_CHECKING:
    from typing_extensions import Self

_MOST_CODES = 256


class CodebookEmbedding(CompressedEmbedding):
    """Vectors made of one row of each of `num_codebooks` books, which integer codes choose.

    The codes are a table that is not trained: `from_table` chooses them, and `reassign` chooses
    them anew for the books as they are. In a new layer they are hashes of the id, which makes it
    a hash embedding with several functions.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_codebooks: Number of books.
        num_codes: Rows of a book, from 2 to 256; a code takes 4 bits up to 16 rows, else 8.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a number is out of range.
    """

    size_argument = "num_codebooks"
    takes_metric = True
    reads_rows_of_ids = True

    def __init__(
        self, *args: Any, num_codebooks: int, num_codes: int = _MOST_CODES, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_codebooks=num_codebooks, num_codes=num_codes)
        if not 2 <= num_codes <= _MOST_CODES:
            raise invalid(f"`num_codes` must be in [2, {_MOST_CODES}].", num_codes=num_codes)
        self.num_codebooks = int(num_codebooks)
        self.num_codes = int(num_codes)

    def _code_table(self) -> Table:
        return Table.of_codes(
            "codes",
            self.input_dim,
            self.num_codebooks,
            num_codes=self.num_codes,
            initializer=self._hashed_codes,
        )

    @classmethod
    def from_codes(cls, codes: Any, output_dim: int, **kwargs: Any) -> Self:
        """A layer whose ids have given codes, such as semantic ids that another model made.

        The books are trained from the start, or are those of `kwargs`' initializer.

        Args:
            codes: `[input_dim, num_codebooks]` integers from 0 to 255 at most.
            output_dim: Width of an embedding.
            **kwargs: Further arguments of the layer; `num_codes` is the largest code and one, where
                it is not said.

        Returns:
            The layer, built.

        Raises:
            ValueError: If the codes are no matrix of such integers.

        Example:
            >>> from memcom_tf import ResidualQuantizedEmbedding
            >>> semantic_ids = np.array([[0, 3], [0, 1], [2, 2]])
            >>> layer = ResidualQuantizedEmbedding.from_codes(semantic_ids, 8)
            >>> layer.num_codes, layer.num_codebooks, tuple(layer(np.arange(3)).shape)
            (4, 2, (3, 8))
        """
        values = np.asarray(codes)
        if values.ndim != 2 or not values.size or values.dtype.kind not in "iu":
            raise invalid(
                "`codes` must be a matrix of integers, a row for each id.",
                "Number the ids as the model does, and leave no row out.",
                shape=values.shape,
                dtype=str(values.dtype),
            )
        if values.min() < 0 or values.max() >= _MOST_CODES:
            raise invalid(
                f"`codes` must be from 0 to {_MOST_CODES - 1}.",
                smallest=values.min().item(),
                largest=values.max().item(),
            )
        sizes = {"num_codes": max(2, int(values.max()) + 1), "num_codebooks": values.shape[1]}
        layer = cls(len(values), output_dim, **{**sizes, **kwargs})
        layer.assign_tables({**layer.table_values(), "codes": values})
        return layer

    def _hashed_codes(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        ids = np.arange(self.input_dim)
        hashes = [
            UniversalHash(self.input_dim, self.num_codes, book)(ids)
            for book in range(self.num_codebooks)
        ]
        return tf.constant(np.stack(hashes, axis=1), dtype)

    @property
    def _first_rows(self) -> Sequence[int]:
        """Where each book begins in the table of all."""
        return range(0, self.num_codebooks * self.num_codes, self.num_codes)

    def _summed(self, xp: Ops, scores: Array, first_columns: Sequence[int], t: Tables) -> Array:
        """Sums of the scores of the chosen rows `[b, input_dim]`, from those of all books."""
        parts = [
            xp.gather_columns(scores, xp.column(t["codes"], book) + first)
            for book, first in enumerate(first_columns)
        ]
        return sum(parts[1:], start=parts[0])

    def encode(self, table: Any) -> np.ndarray:
        """The codes by which the layer's books come nearest to a table.

        Args:
            table: `[input_dim, output_dim]`.

        Returns:
            `[input_dim, num_codebooks]` uint8.

        Raises:
            ValueError: If the shape is another, or a number not finite.
            ImportError: If faiss-cpu or scikit-learn is not installed.
        """
        values = np.asarray(table, np.float32)
        if values.shape != (self.input_dim, self.output_dim) or not np.isfinite(values).all():
            raise invalid(
                f"`table` must be {(self.input_dim, self.output_dim)}, finite.",
                shape=values.shape,
                finite=bool(np.isfinite(values).all()),
            )
        return self._nearest_codes(values, self.table_values())

    def reassign(self, table: Any) -> float:
        """Sets the codes to those of `encode`; the books stay as they are.

        Args:
            table: `[input_dim, output_dim]`, such as a teacher's vectors.

        Returns:
            Share of the ids whose codes changed.

        Raises:
            ValueError: As `encode`.
        """
        codes, tables = self.encode(table), self.table_values()
        changed = (codes != tables["codes"]).any(axis=1).mean()
        self.assign_tables({**tables, "codes": codes})
        return float(changed)

    def _nearest_codes(self, table: np.ndarray, t: Tables) -> np.ndarray:
        raise NotImplementedError

    def _books(self, t: Tables) -> np.ndarray:
        """`[num_codebooks, num_codes, width]`."""
        return np.asarray(t["codebooks"]).reshape(self.num_codebooks, self.num_codes, -1)

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> Sequence[int]:
        return range(1, output_dim + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_codebooks": self.num_codebooks,
            "num_codes": self.num_codes,
        }
