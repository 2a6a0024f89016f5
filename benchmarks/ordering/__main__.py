"""What an order by similarity takes, of a hundred thousand items and of a million.

python -m benchmarks.ordering                     the published figures
python -m benchmarks.ordering --quick --json OUT  a hundred thousand items alone
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.common import measure

WIDTH = 64


class Case(NamedTuple):
    """So many items in so many buckets, and the seconds and bytes that we want to need at most."""

    num_items: int
    num_buckets: int
    seconds: float
    peak_bytes: float


CASES = {
    "100k": Case(100_000, 2_000, 30.0, 8e9),
    "1m": Case(1_000_000, 20_000, 600.0, 8e9),
}
_ROUNDS = 3
_QUALITY = ("share_in_nearest", "mean_similarity", "mean_similarity_by_chance")


def figures(rounds: measure.Rounds) -> measure.Result:
    """Medians at the top level, and what they are medians of."""
    seconds = {name: [result["seconds"] for result in results] for name, results in rounds.items()}
    summaries = {name: measure.summary(values) for name, values in seconds.items()}
    peaks = {
        name: max(result["peak_bytes"] for result in results) for name, results in rounds.items()
    }
    return {
        **{f"{name}_seconds": summary["median"] for name, summary in summaries.items()},
        "targets": {
            name: {
                "seconds": CASES[name].seconds,
                "peak_bytes": CASES[name].peak_bytes,
                "reached": max(seconds[name]) <= CASES[name].seconds
                and peaks[name] <= CASES[name].peak_bytes,
            }
            for name in rounds
        },
        "seconds": summaries,
        "peak_bytes": peaks,
        "quality": {
            name: {key: measure.digits(results[0][key]) for key in _QUALITY}
            for name, results in rounds.items()
        },
        "all_rounds": rounds,
    }


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    rows = [
        (
            f"{CASES[name].num_items:,}",
            f"{CASES[name].num_buckets:,}",
            measure.spread(document["seconds"][name]),
            f"{document['peak_bytes'][name] / 1e9:.2f}",
            f"{target['seconds']:.0f} s, {target['peak_bytes'] / 1e9:.0f} GB",
            "yes" if target["reached"] else "no",
            *(f"{document['quality'][name][key]:.3f}" for key in _QUALITY),
        )
        for name, target in document["targets"].items()
    ]
    head = (
        "items",
        "buckets",
        "seconds",
        "peak GB",
        "wanted at most",
        "reached",
        "share in the nearest bucket",
        "cosine with the bucket's mean",
        "the same by chance",
    )
    return (
        "# An order by similarity\n\n"
        f"`python -m benchmarks.ordering`: `similarity_order` of vectors of {WIDTH} with its "
        "default settings, in a process of its own. The vectors lie around topics, one for a "
        "hundred items; the sizes of topics and the spectrum fall by power laws "
        "(`benchmarks/ordering_case.py`), counts as 1 / rank. Seconds are the median over the "
        "rounds, (smallest-largest), of the call alone; the peak is that of the process, with the "
        "vectors as they were passed.\n\n" + measure.table(head, rows)
    )


def main() -> None:
    """Measures, prints and writes."""
    options = measure.parse(measure.parser(__doc__.splitlines()[0], _ROUNDS))
    machine = measure.describe_machine()
    found = ["100k"] if options.quick else list(CASES)

    def run_case(name: str) -> measure.Result:
        case = CASES[name]
        arguments = {
            "num_items": case.num_items,
            "num_buckets": case.num_buckets,
            "width": WIDTH,
        }
        return measure.run_worker("benchmarks.ordering.case", arguments)

    rounds = measure.in_rounds(found, options.rounds, run_case)
    document = {**figures(rounds), "settings": {"width": WIDTH}, "machine": machine}
    measure.publish("ordering", options, document, report(document))


if __name__ == "__main__":
    main()
