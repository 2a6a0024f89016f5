"""The files of a log: one, several, folders of parts, or patterns."""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, TypeAlias, TypeGuard

from memcom_tf.data.remote import RemoteFile, is_url, remote_files
from memcom_tf.data.tables import DELTA_LOG, Frame, Scanned, delta_table, is_delta, reader_of
from memcom_tf.datasets.files.columns import ColumnFile, listed
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.files.streams import opened
from memcom_tf.errors import invalid, message

Source: TypeAlias = str | os.PathLike[str]
Table: TypeAlias = Frame | Scanned
Format: TypeAlias = Literal["csv", "tsv", "parquet"]
NamesIn: TypeAlias = Callable[[ColumnFile], tuple[str, ...] | None]


_SUFFIXES: dict[str, Format] = {
    **{f".csv{packed}": "csv" for packed in ("", ".gz", ".zst")},
    **{f"{end}{packed}": "tsv" for end in (".tsv", ".txt") for packed in ("", ".gz", ".zst")},
    ".parquet": "parquet",
}
_PATTERN = frozenset("*?[")
_ICEBERG = ".metadata.json"
"""How the names of files end that say what an Iceberg table holds."""
FilePath: TypeAlias = Path | RemoteFile
_BLOCK_BYTES = 2**22


@dataclass(frozen=True)
class LogFiles:
    """Files of one format that together are a log.

    Attributes:
        paths: The files, in the order of their rows.
        format: What they are.
        names: The columns that all of them have; of a Parquet file empty, as an engine reads them.
        packed: Whether they are lines that are compressed: "", ".gz" or ".zst".
        header: Whether the first line of a file of lines names the columns.
        source: What they are called in the manifest; None calls them by their paths.
    """

    paths: tuple[FilePath, ...]
    format: Format
    names: tuple[str, ...] = ()
    packed: str = ""
    header: bool = True
    source: str | None = None

    @property
    def delimiter(self) -> str:
        """What separates the columns of a line."""
        return "," if self.format == "csv" else "\t"

    @property
    def read_once(self) -> bool:
        """Whether what was read is worth keeping: lines take long to read, and stores to answer."""
        return self.format != "parquet" or bool(self.systems)

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def systems(self) -> list[Any]:
        """The file systems of fsspec that they are in."""
        found = {id(path.system): path.system for path in self.paths if _is_remote(path)}
        return list(found.values())

    def described(self) -> list[dict[str, str | int]]:
        """Name, bytes and SHA-256 of each file; reads those of which no store knows a hash."""
        return [
            {"path": self.source or str(path), "bytes": path.stat().st_size, **_content_of(path)}
            for path in self.paths
        ]


def _is_remote(path: FilePath) -> TypeGuard[RemoteFile]:
    return isinstance(path, RemoteFile)


def _content_of(path: FilePath) -> dict[str, str]:
    """What tells the content of a file: what its store says of it, or the hash of its bytes."""
    tag = path.tag() if _is_remote(path) else None
    return {"sha256": sha256_of(path)} if tag is None else {"etag": tag}


@contextmanager
def opened_log(
    sources: Source | Iterable[Source] | Table, beside: Path, names_in: NamesIn | None = None
) -> Iterator[LogFiles]:
    """The files of a log; a table is written to one that is there meanwhile.

    Args:
        sources: Files, folders or patterns, as of `find_files`, or a table: a frame, a data set of
            Arrow, or the folder of a Delta table.
        beside: The folder in which a table is written.
        names_in: As of `find_files`.

    Yields:
        The files.
    """
    table, name = _table_of(sources)
    if table is None:
        assert not isinstance(sources, Frame | Scanned)
        yield find_files(sources, names_in)
        return
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory(prefix=".memcom-", dir=beside) as folder:
        path = Path(folder) / "frame.parquet"
        reader = reader_of(table)
        with pq.ParquetWriter(path, reader.schema, compression="lz4") as file:
            for batch in reader:
                file.write_batch(batch)
        yield LogFiles((path,), "parquet", source=name)


def _table_of(sources: Source | Iterable[Source] | Table) -> tuple[Table | None, str]:
    """The table that is a log, and what it is called; None where the log is files."""
    if isinstance(sources, Frame | Scanned):
        return sources, "frame"
    given = _listed(sources)
    delta = [source for source in given if is_delta(source)]
    if not delta:
        return None, ""
    if len(given) > 1:
        raise invalid(
            "A Delta table must be a log of its own.", "Prepare it alone.", sources=given[:3]
        )
    return delta_table(delta[0])


def _listed(sources: Source | Iterable[Source]) -> list[str]:
    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    return [os.fspath(source) for source in given]


def find_files(sources: Source | Iterable[Source], names_in: NamesIn | None = None) -> LogFiles:
    r"""Finds the files of a log.

    Args:
        sources: A file, a folder, whose files are taken with those of its folders, or a pattern
            such as "day=*/part-*.parquet"; or several of them. They may be URLs of object stores,
            such as "s3://bucket/log", which fsspec reads. Names that begin with "." or "_"
            are left out, as Spark and Hive do. The files of a folder or of a pattern are in the
            order of their paths.
        names_in: Gives the columns of a file of lines, opened, whose first line does not name
            them, else None.

    Returns:
        The files, of one format.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If the files are of several formats or have different columns, or if a file
            comes twice.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for day in (2, 1):
        ...         _ = (Path(folder) / f"day{day}.csv").write_text("user,item\n1,2\n")
        ...     [path.name for path in find_files(folder).paths]
        ['day1.csv', 'day2.csv']
    """
    given = _listed(sources)
    if not given:
        raise invalid("There must be a log.", "Pass a file, a folder or a pattern.", sources=given)
    paths = [path for source in given for path in _files_of(source)]
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    if twice:
        raise invalid("Every file must come once.", "Leave the others out.", twice=twice[:3])
    return _of_one_format(paths, names_in)


def _files_of(source: str) -> Sequence[FilePath]:
    if is_url(source):
        remote = remote_files(source, _is_part)
        if not remote:
            raise FileNotFoundError(
                message(
                    "A URL of a log must be that of a file, or of a folder or a pattern with "
                    "files.",
                    f"Their names must end in one of {', '.join(_SUFFIXES)}.",
                    url=source,
                )
            )
        return remote
    path = Path(source)
    if path.is_dir():
        found = [
            file
            for file in sorted(path.rglob("*"))
            if file.is_file() and _is_part(file.relative_to(path))
        ]
        if not found:
            raise FileNotFoundError(
                message(
                    "A folder of a log must have files in it.",
                    f"Their names must end in one of {', '.join(_SUFFIXES)}.",
                    path=source,
                )
            )
        return found
    if _PATTERN & set(source) and not path.exists():
        names = sorted(glob.glob(source, recursive=True))
        found = [Path(name) for name in names if Path(name).is_file()]
        if not found:
            raise FileNotFoundError(
                message("A pattern must fit some files.", "Check its folder.", pattern=source)
            )
        return found
    if not path.is_file():
        raise FileNotFoundError(
            message("The log must be a file, a folder or a pattern.", "", path=source)
        )
    return [path]


def _is_part(within: PurePath) -> bool:
    """Whether a file of a folder, by its path within, is one of a log.

    Raises:
        ValueError: If it is one of a table, whose folder has files of earlier versions, too.
    """
    if DELTA_LOG in within.parts or within.name.endswith(_ICEBERG):
        raise invalid(
            "A folder of a log must not have a table in it, of which some files do not count.",
            "Prepare the folder of the Delta table itself."
            if DELTA_LOG in within.parts
            else "Pass `table.scan().to_arrow_batch_reader()` of pyiceberg to "
            "`memcom_tf.data.prepare` in Python.",
            found=str(within),
        )
    hidden = any(part.startswith((".", "_")) for part in within.parts)
    return not hidden and bool(_suffix(within))


def _suffix(path: PurePath | RemoteFile) -> str:
    name = path.name.lower()
    return next((end for end in _SUFFIXES if name.endswith(end)), "")


def _of_one_format(paths: list[FilePath], names_in: NamesIn | None) -> LogFiles:
    suffixes = {_suffix(path): path for path in paths}
    if "" in suffixes:
        raise invalid(
            f"The file's name must end in one of {', '.join(_SUFFIXES)}.",
            "Convert the file.",
            path=str(suffixes[""]),
        )
    formats = {(_SUFFIXES[end], end.rpartition(".")[2]) for end in suffixes}
    if len(formats) > 1:
        raise invalid(
            "The files of a log must be of one format.",
            "Prepare logs of one format, or convert some of the files.",
            files=[str(path) for path in suffixes.values()],
        )
    (suffix,) = list(suffixes)[:1]
    if _SUFFIXES[suffix] == "parquet":
        return LogFiles(tuple(paths), "parquet")
    packed = "." + suffix.rpartition(".")[2] if suffix.count(".") > 1 else ""
    given = None if names_in is None else names_in(open_columns(paths[0]))
    if given is not None:
        return LogFiles(tuple(paths), _SUFFIXES[suffix], given, packed, header=False)
    names = [_names_of(path) for path in paths]
    for path, found in zip(paths, names, strict=True):
        if found != names[0]:
            raise invalid(
                "The files of a log must have the same columns in the same order.",
                f"The first has {listed(names[0])}.",
                columns=listed(found),
                path=str(path),
            )
    return LogFiles(tuple(paths), _SUFFIXES[suffix], names[0], packed)


def _names_of(path: FilePath) -> tuple[str, ...]:
    """The columns of a file of lines, whose first line names them: no blank one may come before."""
    names = open_columns(path).names
    codec = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.lower())
    with opened(path, codec) as file:
        begin = bytes(file.read(4)).removeprefix(b"\xef\xbb\xbf")
    if begin[:1] in (b"\r", b"\n"):
        raise invalid(
            "The first line must name the columns.", "Remove the blank lines.", path=str(path)
        )
    return names


def sha256_of(path: FilePath) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
