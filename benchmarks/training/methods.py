"""One step of `model.fit` with each method, against a full table.

python -m benchmarks.training.methods                     the published figures, half an hour
python -m benchmarks.training.methods --quick --json OUT  a first idea, under three minutes
"""

from __future__ import annotations

from benchmarks.common import measure
from benchmarks.common.workload import BATCH_SIZE, HISTORY_LENGTH, OUTPUT_DIM
from memcom_tf.layers import METHODS

INPUT_DIM, RATIO = 1_000_000, 16.0
FULL = "FullEmbedding"
STEPS = {"warm_up": 3, "least": 5, "most": 60, "seconds": 2.0}
QUICK_METHODS = FULL, "MEmComEmbedding", "CompositionalEmbedding", "PrunedEmbedding"
QUICK_STEPS = {"warm_up": 2, "least": 3, "most": 20, "seconds": 0.5}


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    settings, milliseconds = document["settings"], document["milliseconds"]
    rows = []
    for name in sorted(milliseconds, key=lambda name: milliseconds[name]["median"]):
        first = document["all_rounds"][name][0]
        ratio = document["ratios"].get(name)
        rows.append(
            (
                name,
                "fused" if first["fused"] else "plain",
                measure.spread(milliseconds[name]),
                "-" if ratio is None else measure.spread(ratio),
                f"{first['peak_bytes'] / 1e6:,.0f}",
                f"{first['ratio']:.3g}",
            )
        )
    head = "method", "ops", "ms a step", f"times {FULL}", "memory, MB", "compression ratio"
    return (
        "# A step of training, by method\n\n"
        f"`python -m benchmarks.training.methods`. `fit` with LazyAdam on histories [{BATCH_SIZE}, "
        f"{HISTORY_LENGTH}] of {settings['input_dim']:,} ids, zipf distributed: vectors of "
        f"{OUTPUT_DIM}, their mean, `Dense({OUTPUT_DIM})`, mse. Each method about "
        f"{settings['ratio']:g} times smaller, where it has a size, in a process of its own; "
        "medians over rounds of the median step (smallest-largest round); a ratio is taken within "
        "a round. Memory is what the process took more from the first layer on, optimizer and "
        "TensorFlow's graph included. What adapts is timed without the steps in between.\n\n"
        + measure.table(head, rows, texts=2)
    )


def main() -> None:
    """Measures, prints and writes."""
    parser = measure.parser(__doc__.splitlines()[0])
    parser.add_argument("--input-dim", type=int, default=INPUT_DIM, help="default: %(default)s")
    parser.add_argument("--ratio", type=float, default=RATIO, help="default: %(default)s")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME"
    )
    options = measure.parse(parser)
    if options.quick and options.methods == list(METHODS):
        options.methods = list(QUICK_METHODS)
    settings = {
        "input_dim": options.input_dim,
        "ratio": options.ratio,
        "distribution": "zipf",
        "steps": QUICK_STEPS if options.quick else STEPS,
    }
    machine = measure.describe_machine()

    def run_case(name: str) -> measure.Result:
        arguments = {"case": name, **settings}
        return measure.run_worker("benchmarks.training.methods_case", arguments)

    rounds = measure.in_rounds(options.methods, options.rounds, run_case)
    times = {name: [result["ms"] for result in results] for name, results in rounds.items()}
    document = {
        "settings": settings,
        "milliseconds": {name: measure.summary(values) for name, values in times.items()},
        "ratios": {
            name: measure.ratio(values, times[FULL])
            for name, values in times.items()
            if FULL in times and name != FULL
        },
        "all_rounds": rounds,
        "machine": machine,
    }
    measure.publish("training_methods", options, document, report(document))


if __name__ == "__main__":
    main()
