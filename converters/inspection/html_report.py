"""The pages of a file and of a comparison, which ask nothing of any network."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from memcom_tf.files import write_atomically

from .comparison import Comparison
from .figures import FileFigures, sizes_of
from .page import page, shown
from .summaries import sentence_of_file

_MOST_TABLES = 1000


def write_html(of: dict[str, Any] | Comparison, path: str | os.PathLike[str]) -> None:
    """Writes a page of a file or of several, whole or not at all.

    Args:
        of: What `compare` returned; or of one file `CompressedModelFile.report` or
            `Conversion.report`, with what `measure` returned as "measured" latencies too.
        path: Where to; what is there is replaced.

    Raises:
        ImportError: If the library of charts is not installed: `memcom_tf[report]`.
        OSError: If it cannot be written.
    """
    write_atomically(path, html_report(of).encode())


def html_report(of: dict[str, Any] | Comparison) -> str:
    """The page of `write_html`."""
    measured = None
    if isinstance(of, Comparison):
        comparison, title = of, f"{len(of.files)} files compared"
    else:
        measured, comparison, title = of.get("measured"), _alone(of), of["name"]
    document = shown(dataclasses.asdict(comparison))
    data = {
        "comparison": document,
        "tables_left_out": [_without_many_tables(file["report"]) for file in document["files"]],
        "measured": shown(measured),
    }
    return page(title, comparison.summary, data)


def _alone(report: dict[str, Any]) -> Comparison:
    """A file as a comparison of one."""
    threads = report.get("measured", {}).get("threads", {})
    names = sorted({name for found in threads.values() for name in found["milliseconds"]})
    milliseconds = {
        name: {int(count): found["milliseconds"][name] for count, found in threads.items()}
        for name in names
    }
    figures = FileFigures(
        path="",
        label=report["name"],
        report={name: value for name, value in report.items() if name != "measured"},
        bytes=sizes_of(report),
        times_smaller=1.0,
        milliseconds=milliseconds,
    )
    return Comparison([figures], 0, 0, False, [], {}, sentence_of_file(report))


def _without_many_tables(report: dict[str, Any]) -> int:
    """Leaves out the tables behind the first, of which a page would not be read; how many."""
    left = _MOST_TABLES
    left_out = 0
    for embedding in report["embeddings"]:
        tables = embedding["tables"]
        embedding["tables"] = tables[: max(0, left)]
        left_out += len(tables) - len(embedding["tables"])
        left -= len(tables)
    report["embeddings"] = [of for of in report["embeddings"] if of["tables"]]
    return left_out
