"""What a step of training costs as the vocabulary grows to a hundred million ids, and what memory.

python -m benchmarks.training.vocabulary_scaling                     the published figures
python -m benchmarks.training.vocabulary_scaling --quick --json OUT  up to a million ids
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.common import measure
from benchmarks.common.workload import (
    BATCH_SIZE,
    DISTRIBUTIONS,
    HISTORY_LENGTH,
    OUTPUT_DIM,
    distinct_ids,
)
from benchmarks.training.step import INPUT_DIM, QUICK_STEPS, STEPS
from benchmarks.training.step_case import CASES

SIZES = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000, "100m": 100_000_000}
OURS, STOCK = "ours", "keras_lazy_adam"
STOCK_BYTES = 20e9
"""The stock table is trained where it and its moments take less."""
TARGETS = {"zipf_10m_over_1m": 1.5, "zipf_100m_over_1m": 2.0}
"""How many times slower than with a million ids we want to be at most."""


class ScalingCase(NamedTuple):
    """A case of `training_case` at one size."""

    case: str
    distribution: str
    size: str

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"{self.case}_{self.distribution}_{self.size}"


def full_table_bytes(input_dim: int) -> int:
    """What a table with a row for every id needs in training: itself and Adam's two moments."""
    return 3 * input_dim * OUTPUT_DIM * 4


def cases(largest: int) -> dict[str, ScalingCase]:
    """What is measured, by name: ours everywhere, the stock table where it fits, Zipf alone."""
    sizes = [size for size, input_dim in SIZES.items() if input_dim <= largest]
    found = [ScalingCase(OURS, d, size) for size in sizes for d in DISTRIBUTIONS]
    found += [
        ScalingCase(STOCK, "zipf", size)
        for size in sizes
        if full_table_bytes(SIZES[size]) < STOCK_BYTES
    ]
    return {case.name: case for case in found}


def figures(rounds: measure.Rounds) -> measure.Result:
    """Medians at the top level, and what they are medians of."""
    times = {name: [result["ms"] for result in results] for name, results in rounds.items()}
    ratios = {}
    for distribution in DISTRIBUTIONS:
        base = times[f"{OURS}_{distribution}_1m"]
        for size in SIZES:
            if size != "1m" and (values := times.get(f"{OURS}_{distribution}_{size}")):
                ratios[f"{distribution}_{size}_over_1m"] = measure.ratio(values, base)
    targets = {
        name: {
            "wanted": wanted,
            "measured": ratios[name]["median"],
            "reached": ratios[name]["median"] <= wanted,
        }
        for name, wanted in TARGETS.items()
        if name in ratios
    }
    peaks = {
        name: max(result["peak_bytes"] for result in results) for name, results in rounds.items()
    }
    return {
        **{f"{name}_ms": measure.summary(values)["median"] for name, values in times.items()},
        **{name: value["median"] for name, value in ratios.items()},
        "targets": targets,
        "ratios": ratios,
        "peak_bytes": peaks,
        "distinct_ids": {
            f"{distribution}_{size}": distinct_ids(distribution, SIZES[size])
            for distribution in DISTRIBUTIONS
            for size in SIZES
            if f"{OURS}_{distribution}_{size}" in times
        },
        "full_table_bytes": {size: full_table_bytes(n) for size, n in SIZES.items()},
        "milliseconds": {name: measure.summary(values) for name, values in times.items()},
        "all_rounds": rounds,
    }


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    milliseconds, peaks = document["milliseconds"], document["peak_bytes"]
    distinct = document["distinct_ids"]

    def milliseconds_of(*case: str) -> str:
        name = "_".join(case)
        return measure.spread(milliseconds[name]) if name in milliseconds else "-"

    def gigabytes_of(*case: str) -> str:
        name = "_".join(case)
        return f"{peaks[name] / 1e9:.2f}" if name in peaks else "-"

    rows = [
        (
            f"{input_dim:,}",
            f"{distinct[f'zipf_{size}']:,}",
            milliseconds_of(OURS, "zipf", size),
            f"{distinct[f'uniform_{size}']:,}",
            milliseconds_of(OURS, "uniform", size),
            milliseconds_of(STOCK, "zipf", size),
            gigabytes_of(OURS, "zipf", size),
            gigabytes_of(STOCK, "zipf", size),
            f"{document['full_table_bytes'][size] / 1e9:.2f}",
        )
        for size, input_dim in SIZES.items()
        if f"{OURS}_zipf_{size}" in milliseconds
    ]
    head = (
        "ids",
        "Zipf: distinct in a batch",
        "ours, Zipf: ms a step",
        "uniform: distinct in a batch",
        "ours, uniform: ms a step",
        "stock table, Zipf: ms a step",
        "ours: peak GB",
        "stock table: peak GB",
        "full table and Adam: GB",
    )
    text = (
        "# A step of training as the vocabulary grows\n\n"
        "`python -m benchmarks.training.vocabulary_scaling`. The model of "
        f"`benchmarks.training.step`: histories [{BATCH_SIZE}, {HISTORY_LENGTH}], vectors of "
        f"{OUTPUT_DIM}. Ours is {CASES[OURS].label}, with a shared row for 16 ids; the stock table "
        f"is {CASES[STOCK].label}, where it fits into {STOCK_BYTES / 1e9:.0f} GB. Medians over "
        "rounds of the median step, (smallest-largest round). Peak memory is that of the process, "
        "TensorFlow and the data included; the last column is arithmetic: 3 * ids * "
        f"{OUTPUT_DIM} * 4 bytes. A step reads and writes the rows of its distinct ids, and their "
        "moments, which from a million ids on no cache holds.\n\n" + measure.table(head, rows)
    )
    rows = [
        (f"`{name}`", f"{t['wanted']:g}", f"{t['measured']:.3g}", "yes" if t["reached"] else "no")
        for name, t in document["targets"].items()
    ]
    if rows:
        text += "\n## Targets\n\n" + measure.table(
            ("ratio", "at most", "measured", "reached"), rows
        )
    rows = [(f"`{name}`", measure.spread(value)) for name, value in document["ratios"].items()]
    return text + "\n## Ratios of ours\n\n" + measure.table(("ratio", "measured"), rows)


def main() -> None:
    """Measures, prints and writes."""
    options = measure.parse(measure.parser(__doc__.splitlines()[0]))
    machine = measure.describe_machine()
    found = cases(INPUT_DIM if options.quick else max(SIZES.values()))
    steps = QUICK_STEPS if options.quick else STEPS

    def run_case(name: str) -> measure.Result:
        case = found[name]
        arguments = {
            "case": case.case,
            "input_dim": SIZES[case.size],
            "distribution": case.distribution,
            "steps": steps,
        }
        return measure.run_worker(
            "benchmarks.training.step_case", arguments, CASES[case.case].environment
        )

    rounds = measure.in_rounds(list(found), options.rounds, run_case)
    document = {**figures(rounds), "settings": {"steps": steps}, "machine": machine}
    measure.publish("vocabulary_scaling", options, document, report(document))


if __name__ == "__main__":
    main()
