"""What a comparison says in plain words, and which files are the best trade-offs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from memcom_tf.text import printable

from .figures import FileFigures
from .list_behaviour import DIFFERENCE

_ALIKE = 0.005
"""Relative difference of sizes and metrics that is not worth a word."""
_SURE = 2
"""Standard errors from which on a difference is more than chance."""


def quality_of(figures: FileFigures) -> float | None:
    """The nDCG where there are examples, else the agreement with the reference; None of neither."""
    if (name := ndcg_of(figures)) is not None and figures.metrics is not None:
        return figures.metrics[name]
    return None if figures.agreement is None else figures.agreement.common_share


def ndcg_of(figures: FileFigures) -> str | None:
    """The name of the metric that files are judged by; None where there are no examples."""
    return next((name for name in figures.metrics or () if name.startswith("ndcg@")), None)


def best_trade_offs(figures: Sequence[FileFigures]) -> list[FileFigures]:
    """Marks the files that no other file beats in size and quality at once (the Pareto front)."""
    points = [(of.bytes["file"], quality_of(of)) for of in figures]

    def is_beaten(size: int, quality: float) -> bool:
        return any(
            other is not None and of <= size and other >= quality and (of < size or other > quality)
            for of, other in points
        )

    return [
        replace(one, is_best_trade_off=quality is not None and not is_beaten(size, quality))
        for one, (size, quality) in zip(figures, points, strict=True)
    ]


def smallest(figures: Sequence[FileFigures], reference: int) -> int:
    """The place of the smallest file beside the reference, of those that are compared if any is."""
    others = [place for place in range(len(figures)) if place != reference]
    return min(
        others,
        key=lambda place: (figures[place].agreement is None, figures[place].bytes["file"]),
    )


def sentence_of(figures: FileFigures, reference: FileFigures) -> str:
    """What a file is beside the reference."""
    name, other = printable(figures.label), printable(reference.label)
    if figures is reference:
        return f"{name} is the reference, {figures.bytes['file']:,} bytes."
    said = f"{name} is {_size(figures.times_smaller)} {other}"
    if figures.agreement is None:
        return f"{said}. Its lists were not compared: {figures.not_compared}."
    k = figures.agreement.k
    said += f" and shares {k * figures.agreement.common_share:.1f} of {k} items with it"
    if (metric := ndcg_of(figures)) is None or not figures.metrics or not reference.metrics:
        return f"{said}."
    error = figures.metrics.get(DIFFERENCE + metric)
    return (
        f"{said}; its {_metric(metric, figures.metrics[metric], reference.metrics[metric], error)}."
    )


def sentence_of_file(report: dict[str, Any]) -> str:
    """What a file is by itself."""
    dense = 4 * report["uncompressed_parameters"]
    said = f"{printable(report['name'])} takes {report['file_bytes']:,} bytes"
    return (
        f"{said}, {report['compressed_bytes']:,} as a download. "
        f"It is {_size(dense / report['file_bytes'])} the float32 parameters of the uncompressed "
        f"model."
    )


def _size(times_smaller: float) -> str:
    if abs(times_smaller - 1) < _ALIKE:
        return "as large as"
    if times_smaller > 1:
        return f"{times_smaller:.{_digits(times_smaller)}f} times smaller than"
    return f"{1 / times_smaller:.{_digits(1 / times_smaller)}f} times larger than"


def _digits(factor: float) -> int:
    """Digits after the point, so that none of 1.02 is lost and 1,234.5 is not more than it is."""
    return 2 if factor < 2 else 1 if factor < 100 else 0


def _metric(name: str, value: float, of_reference: float, error: float | None) -> str:
    shown = name.replace("ndcg", "nDCG")
    if not of_reference:
        return f"{shown} is {value:.4f}"
    change = value / of_reference - 1
    if round(1000 * abs(change)) == 0:
        return f"{shown} is the same"
    said = f"{shown} is {100 * abs(change):.1f} % {'higher' if change > 0 else 'lower'}"
    may_be_chance = error is None or abs(value - of_reference) < _SURE * error
    return f"{said}, which may be chance" if may_be_chance else said
