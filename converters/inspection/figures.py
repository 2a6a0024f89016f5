"""What is known of one file of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .compared_lists import Agreement
from .latencies import Milliseconds
from .list_behaviour import Behaviour


@dataclass(frozen=True)
class FileFigures:
    """One of the files.

    Attributes:
        path: Where it is.
        label: A short name that no other file of the comparison has.
        report: What it says of itself, with its sizes: `CompressedModelFile.report`.
        bytes: "file", "graph", "tables", and "compressed" by zlib, as an app store delivers it.
        times_smaller: Bytes of the reference over those of this file.
        milliseconds: Median latency by signature and number of threads, on this machine, with the
            call from Python; `rank` of one history, `score` of up to 100 candidates, `embed` of
            one id, other signatures with sizes of 1 where they are free.
        not_compared: Why its lists were not held against those of the reference; None where they
            were.
        agreement: How far its lists agree with those of the reference; None where not compared.
        metrics: "ndcg@k", "recall@k" and others where examples were given.
        behaviour: Whose lists changed, and how; None where not compared.
        is_best_trade_off: Whether no smaller file is as good, and none of its size better.
        summary: All that in a sentence or two.
    """

    path: str
    label: str
    report: dict[str, Any]
    bytes: dict[str, int]
    times_smaller: float
    milliseconds: Milliseconds
    not_compared: str | None = None
    agreement: Agreement | None = None
    metrics: Mapping[str, float] | None = None
    behaviour: Behaviour | None = None
    is_best_trade_off: bool = False
    summary: str = ""


def sizes_of(report: dict[str, Any]) -> dict[str, int]:
    """The bytes of a file, by its report."""
    return {
        "file": report["file_bytes"],
        "graph": report["graph_bytes"],
        "tables": sum(embedding["bytes"] for embedding in report["embeddings"]),
        "compressed": report["compressed_bytes"],
    }
