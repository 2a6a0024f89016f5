"""One step of `model.fit`, ours against Keras', tf_keras' and TensorFlow Recommenders'.

python -m benchmarks.training.step                     the published figures, ten minutes
python -m benchmarks.training.step --quick --json OUT  a first idea, under two minutes
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import measure
from benchmarks.common.workload import BATCH_SIZE, DISTRIBUTIONS, HISTORY_LENGTH, OUTPUT_DIM
from benchmarks.training.memory_floor import THREADS, MemoryFloor
from benchmarks.training.step_case import CASES

INPUT_DIM = 1_000_000
OURS, FIXED, FLOOR = "ours", "no_embedding", "memory_floor"
TARGETS = {"keras_over_ours": 20.0, "keras_xla_over_ours": 12.0, "plain_ops_over_ours": 4.0}
"""How many times faster than these we want to be."""
# Steps that cost a second, as dense Adam's may, are few; fast ones many.
STEPS = {"warm_up": 5, "least": 12, "most": 120, "seconds": 2.5}
QUICK_CASES = [OURS, "keras", "keras_xla", "tf_keras", "plain_ops_adam", "plain_ops", FIXED]
QUICK_STEPS = {"warm_up": 3, "least": 4, "most": 40, "seconds": 0.5}
_PARTS = {
    "forward_op": "forward op",
    "gradient_and_update_ops": "gradient and update ops of the table",
    "dense_ops": "all other ops: dense layer, loss, their gradients and Adam",
    "rest": "the rest: fetching the batch, `fit`, scheduling",
    "step": "step, profiled",
}


def run(options: argparse.Namespace, directory: Path) -> measure.Result:
    """Measures the cases in rounds, and returns the document."""
    machine = measure.describe_machine()
    floor = MemoryFloor(directory, machine["compiler"], options.input_dim, options.distribution)
    settings = {
        "input_dim": options.input_dim,
        "distribution": options.distribution,
        "steps": QUICK_STEPS if options.quick else STEPS,
    }

    def run_case(name: str) -> measure.Result:
        if name == FLOOR:
            return floor.measure()
        arguments = {"case": name, "profile": name == OURS, **settings}
        return measure.run_worker(
            "benchmarks.training.step_case", arguments, CASES[name].environment
        )

    rounds = measure.in_rounds([*options.cases, FLOOR], options.rounds, run_case)
    return {
        **figures(rounds),
        "settings": {
            **settings,
            "batch_size": BATCH_SIZE,
            "history_length": HISTORY_LENGTH,
            "output_dim": OUTPUT_DIM,
        },
        "memory_floor_bytes": floor.bytes_moved,
        "machine": machine,
    }


def figures(rounds: measure.Rounds) -> measure.Result:
    """What is published of the rounds: medians at the top level, and what they are medians of."""
    times = {name: [result["ms"] for result in results] for name, results in rounds.items()}
    found: measure.Result = {
        f"{name}_ms": measure.summary(values)["median"] for name, values in times.items()
    }
    ratios = {
        f"{name}_over_ours": measure.ratio(values, times[OURS])
        for name, values in times.items()
        if OURS in times and name not in (OURS, FIXED, FLOOR)
    }
    if OURS in times and FLOOR in times:
        ratios["ours_over_memory_floor"] = measure.ratio(times[OURS], times[FLOOR])
        if FIXED in times:
            lowest = [sum(both) for both in zip(times[FIXED], times[FLOOR], strict=True)]
            ratios["ours_over_fixed_and_memory_floor"] = measure.ratio(times[OURS], lowest)
    found |= {name: value["median"] for name, value in ratios.items()}
    targets = {
        name: {"wanted": wanted, "measured": found[name], "reached": found[name] >= wanted}
        for name, wanted in TARGETS.items()
        if name in found
    }
    profiles = [result.get("profile") for result in rounds.get(OURS, [])]
    triad = [result["triad_gb_per_s"] for result in rounds.get(FLOOR, [])]
    return {
        **found,
        "targets": targets,
        "profile_ms": {part: measure.summary(p[part] for p in profiles) for part in _PARTS}
        if profiles and all(profiles)
        else None,
        "triad_gb_per_s": measure.summary(triad) if triad else None,
        "ratios": ratios,
        "milliseconds": {name: measure.summary(values) for name, values in times.items()},
        "all_rounds": rounds,
    }


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    settings, milliseconds = document["settings"], document["milliseconds"]
    text = (
        "# A step of training\n\n"
        f"`python -m benchmarks.training.step`. `fit` on histories [{BATCH_SIZE}, "
        f"{HISTORY_LENGTH}] of int32 ids, {settings['input_dim']:,} ids, "
        f"{settings['distribution']} distributed: vectors of {OUTPUT_DIM}, their mean, "
        f"`Dense({OUTPUT_DIM})`, mse. Each case in a process of its own; medians over rounds of "
        "the median step, (smallest-largest round). A ratio is taken within a round. MEmCom has "
        "a shared row for 16 ids. LazyAdam leaves the moments of untouched rows alone, which "
        "Keras' Adam does not: it is another optimizer, see its documentation.\n\n"
    )
    rows = []
    for name, case in CASES.items():
        if name in milliseconds:
            ratio = document["ratios"].get(f"{name}_over_ours")
            times = measure.spread(milliseconds[name])
            rows.append((case.label, times, measure.spread(ratio) if ratio else "-"))
    text += measure.table(("trained by", "ms a step", "times ours"), rows)
    if document["targets"]:
        rows = [
            (
                f"`{name}`",
                f"{t['wanted']:g}",
                f"{t['measured']:.3g}",
                "yes" if t["reached"] else "no",
            )
            for name, t in document["targets"].items()
        ]
        text += "\n## Targets\n\n" + measure.table(
            ("ratio", "at least", "measured", "reached"), rows
        )
    return text + _where_time_goes(document) + _floor(document)


def _where_time_goes(document: measure.Result) -> str:
    profile: dict[str, Any] | None = document["profile_ms"]
    if profile is None:
        return ""
    rows = [(label, measure.spread(profile[part])) for part, label in _PARTS.items()]
    return (
        "\n## Where our time goes\n\nFrom TensorFlow's profiler, of the same process.\n\n"
        + measure.table(("part", "ms a step"), rows)
    )


def _floor(document: measure.Result) -> str:
    milliseconds, ratios = document["milliseconds"], document["ratios"]
    floor, triad = milliseconds[FLOOR], document["triad_gb_per_s"]
    moved = document["memory_floor_bytes"]
    text = (
        f"\n## The floor that memory sets\n\nA step must read and write every row that it touches, "
        f"and its two moments, once: {moved / 1e6:.1f} MB. A C++ program with {THREADS} threads "
        f"that does this alone, in rising order and without arithmetic, takes "
        f"{measure.spread(floor, ' ms')} a step, {moved / floor['median'] / 1e6:.3g} GB/s; rows "
        "that fit into the caches count as well. A STREAM triad reaches "
        f"{measure.spread(triad, ' GB/s')}."
    )
    if "ours_over_memory_floor" in ratios:
        text += (
            f" Our step takes {measure.spread(ratios['ours_over_memory_floor'])} times the floor"
        )
        if (above := ratios.get("ours_over_fixed_and_memory_floor")) is not None:
            text += f", and {measure.spread(above)} times the sum of floor and step without a table"
        text += "."
    return text + "\n"


def main() -> None:
    """Measures, prints and writes."""
    parser = measure.parser(__doc__.splitlines()[0])
    parser.add_argument("--input-dim", type=int, default=INPUT_DIM, help="default: %(default)s")
    parser.add_argument("--distribution", choices=DISTRIBUTIONS, default="zipf")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    options = measure.parse(parser)
    if options.quick and options.cases == list(CASES):
        options.cases = QUICK_CASES
    with tempfile.TemporaryDirectory() as directory:
        document = run(options, Path(directory))
    measure.publish("training_step", options, document, report(document))


if __name__ == "__main__":
    main()
