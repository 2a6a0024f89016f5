"""The lookups alone: fused ops against plain ones and TensorFlow's own, with one and two threads.

python -m benchmarks.training.lookup_kernels                     the published figures, ten minutes
python -m benchmarks.training.lookup_kernels --quick --json OUT  a first idea, under two minutes
"""

from __future__ import annotations

from benchmarks.common import measure
from benchmarks.common.workload import BATCH_SIZE, HISTORY_LENGTH, OUTPUT_DIM
from benchmarks.training.lookup_case import METHODS, PASSES, SPARSE

INPUT_DIM = 1_000_000
QUICK_INPUT_DIM = 100_000
CALLS = {"threads": (1, 2), "least": 12, "seconds": 0.4}
QUICK_CALLS = {"threads": (2,), "least": 8, "seconds": 0.2}


def figures(rounds: measure.Rounds) -> measure.Result:
    """Milliseconds and ratios by process (method and threads) and measurement."""
    milliseconds = {
        process: {name: measure.summary(result[name] for result in results) for name in results[0]}
        for process, results in rounds.items()
    }
    ratios: dict[str, dict[str, dict[str, float]]] = {}
    for process, results in rounds.items():
        method, threads = process.rsplit("_", 1)
        if method == SPARSE:
            continue
        found = ratios[process] = {}
        for name in (name for name in results[0] if "_native_" in name):
            plain = name.replace("_native_", "_reference_")
            native = [result[name] for result in results]
            found[name.replace("_native_", "_plain_over_native_")] = measure.ratio(
                (result[plain] for result in results), native
            )
            # The two processes are of one round, which is what a ratio is taken within.
            tensorflow = rounds.get(f"{SPARSE}_{threads}", [])
            theirs = name.replace("_native_", "_")
            if method == "full" and tensorflow and theirs in tensorflow[0]:
                found[name.replace("_native_", "_tensorflow_over_native_")] = measure.ratio(
                    (result[theirs] for result in tensorflow), native
                )
    return {"milliseconds": milliseconds, "ratios": ratios, "all_rounds": rounds}


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    milliseconds, ratios = document["milliseconds"], document["ratios"]
    settings = document["settings"]
    text = (
        "# Lookups alone\n\n"
        f"`python -m benchmarks.training.lookup_kernels`. ids [{BATCH_SIZE}, {HISTORY_LENGTH}], "
        f"Zipf distributed over {settings['input_dim']:,}; vectors of {OUTPUT_DIM}, a shared row "
        "for 16 ids; calls of a `tf.function`. Backward is the gradients as slices, without an "
        "optimizer; sum: with the slices of a row summed, which every optimizer needs, and which "
        "is how the fused ops' come. Methods and numbers of threads have processes of their own, "
        "in which implementations take turns. Milliseconds: medians over rounds of the median "
        "call, (smallest-largest round); ratios are taken within a round.\n"
    )
    for threads in settings["threads"]:
        for label, pooling in (("pooled", "mean over the history"), ("unpooled", "not pooled")):
            rows = []
            for method, layer in METHODS.items():
                process = f"{method}_{threads}"
                for name in PASSES:
                    native, plain = (
                        measure.spread(milliseconds[process][f"{label}_{mode}_{name}"])
                        for mode in ("native", "reference")
                    )
                    ratio = ratios[process][f"{label}_plain_over_native_{name}"]
                    rows.append((f"{layer}, {_title(name)}", native, plain, measure.spread(ratio)))
            text += f"\n## {_count(threads)}, {pooling}\n\n" + measure.table(
                ("lookup", "fused, ms", "plain, ms", "plain over fused"), rows
            )
    rows = []
    for threads in settings["threads"]:
        for name in PASSES:
            theirs = milliseconds[f"{SPARSE}_{threads}"][f"pooled_{name}"]
            ratio = ratios[f"full_{threads}"][f"pooled_tensorflow_over_native_{name}"]
            rows.append(
                (
                    f"{_count(threads)}, {_title(name)}",
                    measure.spread(theirs),
                    measure.spread(ratio),
                )
            )
    return (
        text
        + "\n## `tf.nn.safe_embedding_lookup_sparse`\n\nA full table, mean over the history; the "
        "`SparseTensor` is made before. Against the fused FullEmbedding.\n\n"
        + measure.table(("lookup", "ms", "over fused"), rows)
    )


def _count(threads: int) -> str:
    return "One thread" if threads == 1 else f"{threads} threads"


def _title(name: str) -> str:
    return name.replace("_", ", ")


def main() -> None:
    """Measures, prints and writes."""
    options = measure.parse(measure.parser(__doc__.splitlines()[0]))
    machine = measure.describe_machine()
    settings = {
        "input_dim": QUICK_INPUT_DIM if options.quick else INPUT_DIM,
        **(QUICK_CALLS if options.quick else CALLS),
    }

    def run_case(name: str) -> measure.Result:
        method, threads = name.rsplit("_", 1)
        arguments = {**settings, "method": method, "threads": int(threads)}
        return measure.run_worker("benchmarks.training.lookup_case", arguments)

    processes = [f"{method}_{n}" for n in settings["threads"] for method in (*METHODS, SPARSE)]
    rounds = measure.in_rounds(processes, options.rounds, run_case)
    document = {**figures(rounds), "settings": settings, "machine": machine}
    measure.publish("lookup_kernels", options, document, report(document))


if __name__ == "__main__":
    main()
