"""A prepared data set of rows, opened: its parts are read from disk as they are needed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.data.manifest import Manifest, RowShard, load_manifest
from memcom_tf.data.prepared_split import check_hash
from memcom_tf.data.row_blocks import RowBlock, joined
from memcom_tf.features import Features
from memcom_tf.vocabulary import Vocabulary
from memcom_tf.vocabulary.parts import CountedOrder


def open_rows(path: str | os.PathLike[str]) -> PreparedRows:
    r"""Opens what `prepare_rows` wrote. Only the manifest is read at once.

    Args:
        path: The folder.

    Returns:
        The data set, which takes the place of a `RowSplit`.

    Raises:
        ImportError: If pyarrow is not installed.
        FileNotFoundError: If there is no data set, or a file of it is missing.
        ValueError: If the manifest is damaged, or the data set is one of interactions.

    Example:
        >>> import tempfile
        >>> from memcom_tf.data import prepare_rows
        >>> from memcom_tf.datasets import Columns
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "rows.csv"
        ...     lines = [f"{row % 2},s{row % 3},{row}" for row in range(200)]
        ...     _ = path.write_text("\n".join(["click,site,age", *lines]))
        ...     _ = prepare_rows(path, Path(folder) / "data", Columns("click", ["site"], ["age"]))
        ...     data = open_rows(Path(folder) / "data")
        ...     data.features.encode(data.test)["ids"].shape
        (20, 1)
    """
    return PreparedRows(Path(path), load_manifest(Path(path), "click"))


class PreparedRows:
    """Rows of fields on disk, in three parts.

    What trains, compresses or judges click models takes it in the place of a
    `memcom_tf.evaluation.RowSplit`. Rows are dealt out to the shards of their part in turn, so
    that any shard is a fair sample of it.

    Attributes:
        folder: Where it is.
        manifest: What it says of itself.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def fingerprint(self) -> str:
        """A hash of the data."""
        hashes = [self.manifest.vocabulary["sha256"], *(s.sha256 for s in self.manifest.shards)]
        text = json.dumps([hashes, self.manifest.features], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def by_time(self) -> bool:
        """Whether the later rows are held out, and not some at random."""
        return bool(self.manifest.statistics["by_time"])

    @cached_property
    def features(self) -> Features:
        """The fields, fitted on the rows for training."""
        import pyarrow.parquet as pq

        noted = self.manifest.vocabulary
        path = self.folder / noted["file"]
        check_hash(path, noted["sha256"])
        table, begin = pq.read_table(path, columns=["value", "count"]), 0
        vocabularies = {}
        for name, size in noted["sizes"].items():
            part = table.slice(begin, size)
            values, counts = part["value"].to_pylist(), part["count"].to_pylist()
            # A field without values has one that none occurs as, as of `fit_features`.
            order: CountedOrder = "frequency" if any(counts) else "given"
            vocabularies[name] = Vocabulary(
                values, counts=counts, order=order, out_of_vocabulary="share"
            )
            begin += size
        found = Features.from_config(self.manifest.features or {})
        return found.with_vocabularies(vocabularies)

    @cached_property
    def train(self) -> StoredRows:
        """To learn from."""
        return self._part("train")

    @cached_property
    def validation(self) -> StoredRows:
        """By which is chosen."""
        return self._part("validation")

    @cached_property
    def test(self) -> StoredRows:
        """Looked at once, at the end."""
        return self._part("test")

    def _part(self, name: str) -> StoredRows:
        return StoredRows(self, [shard for shard in self.manifest.shards if shard.part == name])

    def read(self, shard: RowShard) -> RowBlock:
        """Reads a file of rows.

        Raises:
            ValueError: If the file is not what the manifest says.
        """
        path = self.folder / shard.file
        if shard.file not in self._checked:
            check_hash(path, shard.sha256)
            self._checked.add(shard.file)
        label = str(self.manifest.settings["columns"]["label"])
        return RowBlock.read(path, self.features, label)

    @cached_property
    def _checked(self) -> set[str]:
        return set()

    def __repr__(self) -> str:
        found = self.manifest.statistics
        return (
            f"<PreparedRows: {found['rows']:,} of {len(self.features.names)} fields, "
            f"{len(self.train.shards):,} shards in {self.folder.name}>"
        )


class StoredRows:
    """The rows of a part of a prepared data set, read shard by shard.

    Args:
        data: The data set.
        shards: The files.

    Attributes:
        data: The data set.
        shards: The files.
    """

    def __init__(self, data: PreparedRows, shards: Sequence[RowShard]) -> None:
        self.data, self.shards = data, list(shards)

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return self.data.features.names

    def __len__(self) -> int:
        return sum(shard.rows for shard in self.shards)

    def blocks(self) -> Iterator[RowBlock]:
        """The rows of one shard after the other."""
        return map(self.data.read, self.shards)

    def first(self, rows: int) -> StoredRows:
        """As many shards as have about so many rows, one at least: a fair sample."""
        before = np.cumsum([0, *(shard.rows for shard in self.shards)])
        return StoredRows(self.data, self.shards[: max(1, int((before < rows).sum()))])

    def inputs_of(self, features: Features) -> dict[str, npt.NDArray[Any]]:
        """The inputs of a model for all of these rows, in memory.

        Args:
            features: Those of the model.
        """
        return self._whole.inputs_of(features)

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """[n] the labels."""
        return self._whole.labels

    @property
    def _whole(self) -> RowBlock:
        return joined(list(self.blocks()))

    def __getitem__(self, rows: Any) -> RowBlock:
        """Some of the rows, in memory: a slice, numbers or a mask."""
        wanted = np.arange(len(self))[rows]
        ends = np.cumsum([shard.rows for shard in self.shards])
        of = np.searchsorted(ends, wanted, side="right")
        found, order = [], []
        for shard in np.unique(of).tolist():
            places = np.flatnonzero(of == shard)
            begin = ends[shard] - self.shards[shard].rows
            found.append(self.data.read(self.shards[shard])[wanted[places] - begin])
            order.append(places)
        if not found:
            return self.data.read(self.shards[0])[:0]
        return joined(found)[np.argsort(np.concatenate(order), kind="stable")]

    def __repr__(self) -> str:
        return f"<StoredRows: {len(self):,} of {len(self.names)} fields>"
