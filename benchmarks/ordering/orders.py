"""What an order by similarity does for each method: the error of a trained table in closed form.

    python -m benchmarks.ordering.orders MODEL.keras [--ratios 16 40]

MODEL is a trained `NextItemRanker` with its vocabulary. Error: squared error over squared length,
each item weighted by the root of how often it occurs. Methods that hash an id are not here: a hash
undoes every order. Writes results/orders.json and .md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS
from memcom_tf._keras import keras
from memcom_tf.layers import (
    LowRankEmbedding,
    MEmComEmbedding,
    QuotientRemainderEmbedding,
    ResidualQuantizedEmbedding,
)
from memcom_tf.models import NextItemRanker
from memcom_tf.ordering import similarity_order

_CLUSTERS = (16, 64, 256)

Table = np.ndarray


def sorted_for_remainder(table: Table, num_buckets: int) -> Table:
    """Places of the items, so that `place mod num_buckets` is a bucket of similar ones."""
    return np.argsort(similarity_order(table, num_buckets).ids)


def sorted_for_quotient(table: Table, num_buckets: int) -> Table:
    """The same for `place div num_buckets`."""
    groups = -(-len(table) // num_buckets)
    order = similarity_order(table, groups)
    return np.lexsort((order.ids // groups, order.ids % groups))


def of_layer(method: Any, place: Callable[[Table, int], Table] | None = None, **kwargs: Any) -> Any:
    """The error of a layer of a ratio, with the items placed for its `num_buckets`."""

    def error(table: Table, weights: Table, ratio: float) -> float:
        layer = method.for_ratio(*table.shape, ratio=ratio, **kwargs)
        places = np.arange(len(table))
        if place is not None:
            places = place(table, layer.num_buckets)
        sizes = {method.size_argument: getattr(layer, method.size_argument)}
        made = method.from_table(table[places], frequencies=weights[places], **sizes, **kwargs)
        return relative_error(
            table[places], np.asarray(made(np.arange(len(table)))), weights[places]
        )

    return error


def with_buckets(table: Table, weights: Table, ratio: float) -> float:
    """Residual codes on top of rows of buckets of similar items, which take half of the bytes."""
    num_buckets = int(len(table) / ratio / 2)
    places = sorted_for_remainder(table, num_buckets)
    error = of_layer(ResidualQuantizedEmbedding, lambda *_: places, num_buckets=num_buckets)
    return float(error(table, weights, ratio))


def low_rank_of_clusters(table: Table, weights: Table, ratio: float) -> float:
    """A mean and a basis for each cluster of similar items, the best number of clusters."""
    rows, width = table.shape
    errors = []
    for clusters in _CLUSTERS:
        rank = int((rows * width / ratio - clusters * width) / (rows + clusters * width))
        if rank < 1:
            continue
        of_row = similarity_order(table, clusters).ids % clusters
        found = np.empty_like(table)
        for cluster in range(clusters):
            members = of_row == cluster
            root = np.sqrt(weights[members])[:, None]
            mean = (root**2 * table[members]).sum(axis=0) / (root**2).sum()
            rest = table[members] - mean
            _, _, basis = np.linalg.svd(root * rest, full_matrices=False)
            found[members] = rest @ basis[:rank].T @ basis[:rank] + mean
        errors.append(relative_error(table, found, weights))
    return min(errors, default=float("nan"))


def relative_error(table: Table, found: Table, weights: Table) -> float:
    """Squared error over squared length, by weight."""
    return float(weights @ ((table - found) ** 2).sum(axis=1) / (weights @ (table**2).sum(axis=1)))


CONTENDERS: dict[str, Any] = {
    "MEmCom, frequency": of_layer(MEmComEmbedding),
    "MEmCom, similarity": of_layer(MEmComEmbedding, sorted_for_remainder),
    "quotient-remainder, frequency": of_layer(QuotientRemainderEmbedding, operation="add"),
    "quotient-remainder, similar remainders": of_layer(
        QuotientRemainderEmbedding, sorted_for_remainder, operation="add"
    ),
    "quotient-remainder, similar quotients": of_layer(
        QuotientRemainderEmbedding, sorted_for_quotient, operation="add"
    ),
    "low rank": of_layer(LowRankEmbedding),
    "low rank of each cluster": low_rank_of_clusters,
    "residual codes": of_layer(ResidualQuantizedEmbedding),
    "residual codes on buckets, similarity": with_buckets,
}


def report(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    ratios = results["ratios"]
    lines = [
        "# Methods by order",
        "",
        f"`python -m benchmarks.ordering.orders`. {results['rows']:,} trained vectors of "
        f"{results['width']} numbers, in closed form. Share of the squared length that is lost, by "
        "items weighted with the root "
        "of how often they occur; ratios are of parameters, codes in bits.",
        "",
        "| method, order | " + " | ".join(f"{ratio:g}x" for ratio in ratios) + " |",
        "| --- |" + " ---: |" * len(ratios),
    ]
    for name, errors in results["errors"].items():
        cells = ["-" if error is None else f"{100 * error:.1f} %" for error in errors]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", ", ".join(f"{key} {value}" for key, value in results["machine"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures and writes the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("model", type=Path)
    options.add_argument("--ratios", type=float, nargs="+", default=[16, 40])
    options.add_argument("--json", type=Path, default=RESULTS / "orders.json")
    parsed = options.parse_args()
    ranker: NextItemRanker = keras.models.load_model(parsed.model, compile=False)
    vocabulary = ranker.vocabulary
    ids = vocabulary.ids(list(vocabulary))
    table = np.asarray(ranker.scored_embedding(ids), np.float32)
    weights = np.sqrt(np.asarray(vocabulary.counts, np.float64) + 1)
    found: dict[str, list[float | None]] = {}
    for name in track(CONTENDERS, "methods"):
        errors = [CONTENDERS[name](table, weights, ratio) for ratio in parsed.ratios]
        found[name] = [None if np.isnan(error) else error for error in errors]
    results = {
        "rows": len(table),
        "width": table.shape[1],
        "ratios": parsed.ratios,
        "errors": found,
        "machine": describe(),
    }
    parsed.json.write_text(json.dumps(results, indent=1) + "\n")
    parsed.json.with_suffix(".md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main()
