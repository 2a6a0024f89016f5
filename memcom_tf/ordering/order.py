"""An order by similarity: which ids items got, and where later ones belong."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.files import write_atomically
from memcom_tf.ordering.assignment import choose
from memcom_tf.ordering.clustering import Centres, Floats, Integers
from memcom_tf.tables import RowSharing

CANDIDATES = 32
"""Nearest centres that an item may choose from before all centres with room are looked at."""

_IN_FILE = {"num_dedicated": "num_unshared"}
"""Names that fields have had in files."""


class Placement(NamedTuple):
    """Where items that came later are put.

    Attributes:
        ids: `[n]` their ids, which were free.
        share_in_nearest: Share of them, between 0 and 1, in the bucket of their nearest centre.
    """

    ids: Integers
    share_in_nearest: float


@dataclass(frozen=True, eq=False)
class SimilarityOrder:
    """The ids that `similarity_order` gave.

    Attributes:
        ids: `[n]` the id of each item, in the order in which the vectors were passed.
        centres: `[num_buckets, d]` the centre of each bucket, of length 1.
        num_dedicated: Ids below it are in no bucket: they have a row of their own.
        first_id: The smallest id.
        reserve: Ids of each bucket that no item has: free ids, after those of the items.
        share_in_nearest: Share of the items, between 0 and 1, that are in the bucket of their
            nearest centre (as it was found); the others found it full.
        mean_similarity: Mean cosine between an item's vector and the mean of its bucket's.
        mean_similarity_by_chance: The same where buckets are filled by falling frequency.
    """

    ids: Integers
    centres: Floats
    num_dedicated: int
    first_id: int
    reserve: int
    share_in_nearest: float
    mean_similarity: float
    mean_similarity_by_chance: float

    @property
    def num_buckets(self) -> int:
        """The `num_buckets` of the layers that the order is for."""
        return len(self.centres)

    @property
    def input_dim(self) -> int:
        """The largest id + 1, the free ids included."""
        return self.first_id + len(self.ids) + self.reserve * self.num_buckets

    @property
    def sharing(self) -> RowSharing:
        """How ids share rows in the layers that the order is for."""
        return RowSharing(self.num_buckets, self.num_dedicated)

    def buckets(self, ids: npt.ArrayLike) -> Integers:
        """The bucket of ids that are not below `num_dedicated`."""
        rows: Integers = self.sharing.rows_of(np.asarray(ids, np.int64)) - self.num_dedicated
        return rows

    def place(self, vectors: npt.ArrayLike, free_ids: npt.ArrayLike) -> Placement:
        """Chooses free ids for later items; `Vocabulary.appended` does it for a vocabulary.

        The items, one after the other, take the first free id of the bucket whose centre is nearest
        among those that have free ids left.

        Args:
            vectors: `[n, d]` vectors of the kind that the order was made of.
            free_ids: Ids that no item has, n or more.

        Returns:
            Their ids, and how many found room where they belong.

        Raises:
            ValueError: If sizes do not fit, a vector is not finite, or free ids are missing.

        Example:
            >>> from memcom_tf.ordering import similarity_order
            >>> order = similarity_order([[1, 0], [0, 1]], num_buckets=2, reserve=1)
            >>> placed = order.place([[1, 0.1]], free_ids=[3, 4])
            >>> placed.ids[0] % 2 == order.ids[0] % 2, placed.share_in_nearest
            (np.True_, 1.0)
        """
        x = unit_vectors(vectors)
        free = np.sort(np.asarray(free_ids, np.int64))
        if x.shape[1] != self.centres.shape[1]:
            raise invalid(
                f"`vectors` must be `[n, {self.centres.shape[1]}]`, as those of the order.",
                vectors=x.shape,
            )
        if len(x) > len(free):
            raise invalid(
                "There must be a free id for each new item.",
                "Make room with `Vocabulary.with_reserve`.",
                items=len(x),
                free_ids=len(free),
            )
        of_free = self.buckets(free)
        room = np.bincount(of_free, minlength=self.num_buckets)
        candidates = Centres(self.centres).nearest(x, CANDIDATES)
        buckets = choose(self.centres, x, candidates, room, np.arange(len(x)))
        ids = np.empty(len(x), np.int64)
        of_bucket = free[np.argsort(of_free, kind="stable")]
        start = np.cumsum(room) - room
        in_order = np.argsort(buckets, kind="stable")
        number = np.arange(len(x)) - np.searchsorted(buckets[in_order], buckets[in_order])
        ids[in_order] = of_bucket[start[buckets[in_order]] + number]
        return Placement(ids, float((buckets == candidates[:, 0]).mean()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the order to a file, in one step; later items need it.

        Args:
            path: The file, `.npz` by custom; its folder must exist.

        Raises:
            OSError: If it cannot be written.
        """
        content = io.BytesIO()
        np.savez(content, **{_IN_FILE.get(name, name): x for name, x in vars(self).items()})
        write_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SimilarityOrder:
        """Reads a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The order.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it holds no order, or is damaged.

        Example:
            >>> import pathlib, tempfile
            >>> from memcom_tf.ordering import similarity_order
            >>> order = similarity_order([[1, 0], [0, 1]], num_buckets=2)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     order.save(pathlib.Path(folder) / "order.npz")
            ...     loaded = SimilarityOrder.load(pathlib.Path(folder) / "order.npz")
            >>> np.array_equal(loaded.ids, order.ids), loaded.num_buckets
            (True, 2)
        """
        try:
            with np.load(path) as fields:
                names = cls.__dataclass_fields__
                values = {name: fields[_IN_FILE.get(name, name)] for name in names}
            return cls(**{k: v if v.ndim else v.item() for k, v in values.items()})
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise invalid(
                "The file must hold an order saved by memcom_tf.", str(error), path=str(path)
            ) from error

    def __str__(self) -> str:
        return (
            f"{len(self.ids):,} items in {self.num_buckets:,} buckets, "
            f"{self.reserve * self.num_buckets:,} free ids: "
            f"{100 * self.share_in_nearest:.1f} % in their nearest; cosine with the bucket's mean "
            f"{self.mean_similarity:.3f}, by chance {self.mean_similarity_by_chance:.3f}"
        )

    def __repr__(self) -> str:
        return f"<SimilarityOrder: {self}>"


def unit_vectors(vectors: npt.ArrayLike) -> Floats:
    """The vectors at length 1, checked; zeros stay."""
    x = np.array(vectors, np.float32, order="C")
    if x.ndim != 2 or not len(x):
        raise invalid("`vectors` must be `[n, d]` with n > 0.", vectors=x.shape)
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        item = int(np.flatnonzero(~finite)[0])
        raise invalid("`vectors` must be finite.", "Mend the vector of that item.", item=item)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return x
