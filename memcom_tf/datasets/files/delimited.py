"""Files of lines: columns separated by commas or tabs, in UTF-8, also compressed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from memcom_tf.datasets.files.columns import Column, Kind, shown
from memcom_tf.datasets.files.streams import Ended, opened, readable
from memcom_tf.datasets.files.typed_columns import typed
from memcom_tf.errors import invalid

_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_CODECS = {".gz": "gzip", ".zst": "zstd"}
_BLOCK_BYTES = 8 * 2**20
_HEADER_BYTES = 2**20
# A last row of our own: where a quote stays open, it is swallowed. No value may hold a NUL.
_LAST = "\0end"
_CLOSED = "Every quote that is opened must be closed."
# How files begin that are no text, or text of another encoding.
_SIGNATURES = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "a file compressed by gzip (name it .csv.gz or .tsv.gz)",
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd (name it .csv.zst or .tsv.zst)",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"PAR1": "a Parquet file (name it .parquet)",
}


class DelimitedFile:
    """A `ColumnFile` of lines: the first names the columns, every other one is a row.

    Where `names` are given, the first is a row too.

    No value has a type of its own: labels are integers where the whole column is, else text,
    and an empty field is a missing value. Quotes follow RFC 4180.
    """

    def __init__(self, path: Path, suffix: str, names: tuple[str, ...] | None = None) -> None:
        self.path = path
        self._delimiter = "," if suffix.startswith(".csv") else "\t"
        self._codec = _CODECS.get(Path(suffix).suffix)
        self._given = names
        with self._opened() as file:
            found = self._header(file)
            self.names = names or found
        if len(found) != len(self.names):
            raise invalid(
                "Every line must have as many fields as there are columns.",
                "",
                fields=len(found),
                columns=len(self.names),
                path=str(path),
            )

    def read(self, kinds: Mapping[str, Kind]) -> dict[str, Column]:
        """As `ColumnFile.read`."""
        table = self._table(kinds)
        columns = {}
        for name, kind in kinds.items():
            where = {"column": name, "path": str(self.path)}
            columns[name] = typed(table[name], kind, self._place, where, of_text=True)
            table = table.drop_columns([name])  # Each is let go once it is typed.
        return columns

    def _table(self, kinds: Mapping[str, Kind]) -> pa.Table:
        types = {
            # A label recurs: each block stores it once.
            name: pa.string()
            if kind in ("time", "number")
            else pa.dictionary(pa.int32(), pa.string())
            for name, kind in kinds.items()
        }
        tail = self._delimiter.join([_LAST] * len(self.names))
        try:
            with self._opened() as file:
                ended = Ended(file, tail.encode())
                # Not `open_csv`, which may wait for itself for ever where a row is malformed.
                table = pa_csv.read_csv(
                    ended,
                    # One thread: the parser then knows the number of a row.
                    pa_csv.ReadOptions(
                        use_threads=False,
                        block_size=_BLOCK_BYTES,
                        column_names=list(self._given) if self._given else None,
                    ),
                    pa_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                    pa_csv.ConvertOptions(
                        column_types=types,
                        include_columns=list(kinds),
                        null_values=[],
                        strings_can_be_null=False,
                    ),
                )
        except (pa.ArrowException, MemoryError, OSError) as error:
            raise self._unreadable(str(error)) from error
        rows = table.num_rows
        if not rows or any(column[-1].as_py() != _LAST for column in table.columns):
            raise invalid(
                _CLOSED,
                "Close it, or double a quote that is part of a value.",
                **self._place(rows - 1),
                path=str(self.path),
            )
        if ended.lines != rows + self._first:  # Blank lines, and values of several lines.
            self._check_quotes()
        return table.slice(0, rows - 1)

    @property
    def _first(self) -> int:
        """Lines before the first row."""
        return 0 if self._given else 1

    def _unreadable(self, reason: str) -> ValueError:
        if "straddling object" in reason:
            return invalid(
                f"A row must be shorter than {_BLOCK_BYTES // 2**20} MiB.",
                "Close the quote that is open, or drop the column of long texts.",
                path=str(self.path),
            )
        if "invalid UTF8" in reason:
            return self._not_utf8(reason)
        _, found, rest = reason.partition("Row #")
        number = rest.partition(":")[0]
        if found and number.isdigit() and "Expected" in rest:
            fields = rest.partition("got ")[2].partition(":")[0]
            return invalid(
                "Every line must have as many fields as the first, which names the columns.",
                "Mend that line; where every row has one field more, name it in the first line.",
                **self._place(int(number) - 1 - self._first),
                fields=int(fields) if fields.isdigit() else fields,
                names=len(self.names),
                path=str(self.path),
            )
        return invalid(
            "The file must be readable as lines of text.",
            f"Mend it ({reason.partition(chr(10))[0][:200]}).",
            path=str(self.path),
        )

    def _not_utf8(self, reason: str) -> ValueError:
        number = reason.partition("Row #")[2].partition(":")[0]
        return invalid(
            "The file must be text in UTF-8.",
            "Convert it, for example with iconv -f latin1 -t utf-8.",
            **(self._place(int(number) - 1 - self._first) if number.isdigit() else {}),
            path=str(self.path),
        )

    def _check_quotes(self) -> None:
        """Requires that a quoted value ends where its quote is closed: Arrow would go on."""
        begins = 1
        try:
            for _, line in self._rows(strict=True):
                begins = line
        except (csv.Error, OSError) as error:
            raise invalid(
                _CLOSED,
                f"Close it, or double a quote that is part of a value ({error}).",
                after_line=begins,
                path=str(self.path),
            ) from error

    def _place(self, row: int) -> dict[str, int]:
        """The line on which a row begins: blank lines and breaks in quotes move it."""
        try:
            for place, (_, begins) in enumerate(self._rows()):
                if place == row + self._first:
                    return {"line": begins}
        except (csv.Error, OSError):
            pass  # What cannot be read further cannot be counted further.
        return {"row": row + 1}

    def _rows(self, strict: bool = False) -> Iterator[tuple[list[str], int]]:
        """The rows, that of the names first, and the lines on which they begin."""
        limit = csv.field_size_limit(2 * _BLOCK_BYTES)
        try:
            with self._opened() as file:
                lines = io.TextIOWrapper(readable(file), "utf-8", errors="replace", newline="")
                reader = csv.reader(lines, delimiter=self._delimiter, strict=strict)
                begins = 1
                for fields in reader:
                    if fields:
                        yield fields, begins
                    begins = reader.line_num + 1
        finally:
            csv.field_size_limit(limit)

    def _opened(self) -> AbstractContextManager[Any]:
        return opened(self.path, self._codec)

    def _header(self, file: IO[bytes]) -> tuple[str, ...]:
        try:
            begin = file.read(_HEADER_BYTES)
        except OSError as error:
            raise self._unreadable(str(error)) from error
        for signature, what in _SIGNATURES.items():
            if begin.startswith(signature):
                raise self._not_text(what)
        lines = begin.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").replace(b"\r", b"\n")
        first = lines.partition(b"\n")[0]
        if not first:
            raise invalid(
                "The first line must name the columns.", "The file is empty.", path=str(self.path)
            )
        if b"\0" in first:
            raise self._not_text("UTF-16 without its mark, or no text")
        try:
            text = first.decode()
        except UnicodeDecodeError as error:
            raise self._not_utf8("Row #1:") from error
        names = next(csv.reader([text], delimiter=self._delimiter), [])
        if len(names) < 2:
            for other, plural in _DELIMITERS.items():
                if other in text and other != self._delimiter:
                    raise invalid(
                        f"The columns of this file must be separated by "
                        f"{_DELIMITERS[self._delimiter]}, and are by {plural}.",
                        "Save it with commas as .csv, or with tabs as .tsv.",
                        first_line=shown(text),
                        path=str(self.path),
                    )
        return tuple(names)

    def _not_text(self, what: str) -> ValueError:
        return invalid(
            "The file must be text in UTF-8.",
            "Convert it, for example with iconv -f utf-16 -t utf-8."
            if what.startswith("UTF-16")
            else "Give it the name of what it is, or save it as text.",
            found=what,
            path=str(self.path),
        )
