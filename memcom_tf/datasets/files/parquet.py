"""Parquet files: columns that have types of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from memcom_tf.datasets.files.columns import Column, Kind
from memcom_tf.datasets.files.typed_columns import typed
from memcom_tf.datasets.files.values import unfit
from memcom_tf.errors import invalid

_BATCH_ROWS = 2**18
_ROWS_FREELY = 2**26
MOST_ROWS_A_BYTE = 1000
"""How many rows of more than 67 million a byte of the file may stand for."""

# What pyarrow raises for damaged files; FileNotFoundError and its kin come before.
_DAMAGE = (
    pa.ArrowException,
    OSError,
    MemoryError,
    ValueError,
    OverflowError,
    LookupError,
    NotImplementedError,
    TypeError,
)


class ParquetColumns:
    """A `ColumnFile` of a Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file, self._undamaged():
            self._metadata = pq.read_metadata(file)
            self._schema = self._metadata.schema.to_arrow_schema()
            self.names = tuple(self._schema.names)
        most = max(_ROWS_FREELY, MOST_ROWS_A_BYTE * path.stat().st_size)
        if not 0 <= self._metadata.num_rows <= most:
            raise invalid(
                f"A Parquet file must hold at most {MOST_ROWS_A_BYTE} rows a byte.",
                "Write it anew.",
                rows=self._metadata.num_rows,
                path=str(path),
            )

    def read(self, kinds: Mapping[str, Kind]) -> dict[str, Column]:
        """As `ColumnFile.read`."""
        for name, kind in kinds.items():
            found = self._schema.field(name).type
            if pa.types.is_nested(found):
                raise unfit(kind, self._where(name), type=str(found)[:60])
        with self.path.open("rb") as file, self._undamaged():
            stored = pq.ParquetFile(
                file,
                # A label recurs: each batch stores it once.
                read_dictionary=[
                    name for name, kind in kinds.items() if kind in ("label", "category")
                ],
            )
            batches = stored.iter_batches(_BATCH_ROWS, columns=list(kinds), use_threads=False)
            table = pa.Table.from_batches(batches) if self._metadata.num_rows else None
        if table is None:
            table = self._schema.empty_table()
        with self._undamaged():
            table.validate(full=True)
        return {
            name: typed(table[name], kind, lambda row: {"row": row + 1}, self._where(name))
            for name, kind in kinds.items()
        }

    def _where(self, name: str) -> dict[str, str]:
        return {"column": name, "path": str(self.path)}

    @contextmanager
    def _undamaged(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = (str(error) or type(error).__name__).partition("\n")[0][:200]
            raise invalid(
                "The file must be an undamaged Parquet file.",
                f"Write it anew ({reason}).",
                path=str(self.path),
            ) from error
