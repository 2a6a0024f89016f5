"""MovieLens 100K: fused ops train what plain ops train, and LazyAdam ranks as Adam does.

    python -m benchmarks.training.parity                     the published figures, ten minutes
    python -m benchmarks.training.parity --quick --json OUT  one seed, a part of the data

A round is a seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.common import measure
from benchmarks.training.parity_case import NUM_NEGATIVES

SETTINGS = {"epochs": 7, "examples": None}
QUICK_SETTINGS = {"epochs": 2, "examples": 20_000}
MOST_SEEDS_OF_FULL = 3
"""The full softmax takes twice as long, and tells less: with dense gradients both are Adam."""
LOSSES = {
    "sampled": f"softmax over {NUM_NEGATIVES} sampled films, sparse gradients",
    "full": "softmax over all films, dense gradients",
}
OPTIMIZERS = {"lazy_adam": "LazyAdam", "adam": "Keras Adam"}
PLOT = "training_parity.png"


def run_name(loss: str, optimizer: str, ops: str, seed: int) -> str:
    """The name of a run."""
    return f"{loss}/{optimizer}/{ops}/{seed}"


def seeds_of(loss: str, rounds: int) -> range:
    """The seeds of the runs with a loss."""
    return range(min(rounds, MOST_SEEDS_OF_FULL) if loss == "full" else rounds)


def runs(rounds: int) -> list[str]:
    """Every run: both optimizers with all seeds, and LazyAdam on plain ops with the first."""
    names = [
        run_name(loss, optimizer, "native", seed)
        for loss in LOSSES
        for seed in seeds_of(loss, rounds)
        for optimizer in OPTIMIZERS
    ]
    return names + [run_name(loss, "lazy_adam", "reference", 0) for loss in LOSSES]


def figures(results: dict[str, measure.Result], rounds: int) -> measure.Result:
    """What is published of the runs."""
    found: measure.Result = {"loss": {}, "ndcg_at_10": {}}
    for loss in LOSSES:
        native, plain = (
            results[run_name(loss, "lazy_adam", ops, 0)] for ops in ("native", "reference")
        )
        differences = relative_differences(native["losses"], plain["losses"])
        found["loss"][loss] = {
            "native": native["losses"],
            "reference": plain["losses"],
            "relative_difference": differences,
        }
        found[f"{loss}_largest_relative_loss_difference"] = max(differences)
        quality = found["ndcg_at_10"][loss] = {
            optimizer: [
                results[run_name(loss, optimizer, "native", seed)]["ndcg_at_10"]
                for seed in seeds_of(loss, rounds)
            ]
            for optimizer in OPTIMIZERS
        }
        for optimizer, values in quality.items():
            found[f"{loss}_{optimizer}_ndcg_at_10"] = statistics.mean(values)
    return found


def relative_differences(values: Sequence[float], expected: Sequence[float]) -> list[float]:
    """`|a - b| / |b|`, pair by pair."""
    return [abs(a - b) / abs(b) for a, b in zip(values, expected, strict=True)]


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    rows = []
    for loss, label in LOSSES.items():
        quality = document["ndcg_at_10"][loss]
        pairs = zip(quality["lazy_adam"], quality["adam"], strict=True)
        rows.append(
            (
                label,
                str(len(quality["adam"])),
                *(_mean(quality[optimizer]) for optimizer in OPTIMIZERS),
                _mean([lazy - adam for lazy, adam in pairs]),
            )
        )
    settings = document["settings"]
    text = (
        "# Training parity on MovieLens 100K\n\n"
        "`python -m benchmarks.training.parity`. The demo's MEmCom ranker, "
        f"{settings['epochs']} epochs of {settings['examples'] or 'all'} training examples, by the "
        "protocol of `benchmarks.movielens`.\n\n"
        "## LazyAdam against Adam\n\nFused ops; test nDCG@10, mean ± standard deviation over "
        "seeds; the difference is taken seed by seed. Dense gradients leave LazyAdam nothing to be "
        "lazy about.\n\n"
        + measure.table(("loss", "seeds", *OPTIMIZERS.values(), "difference"), rows)
        + "\n## Fused ops against plain ops\n\nLazyAdam, the same seed, data and negatives. Sums "
        "are taken in another order, which is all that differs.\n\n"
    )
    rows = []
    for loss, label in LOSSES.items():
        curves = document["loss"][loss]
        rows.append(
            (
                label,
                f"{curves['native'][-1]:.6f}",
                f"{curves['reference'][-1]:.6f}",
                f"{max(curves['relative_difference']):.1e}",
            )
        )
    head = ("loss", "last, fused", "last, plain", "largest relative difference of an epoch")
    return text + measure.table(head, rows) + f"\n![The loss of both]({PLOT})\n"


def _mean(values: Sequence[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


def plot(results: dict[str, measure.Result], path: Path) -> None:
    """Draws the loss on fused and on plain ops, and how far they are apart."""
    native, plain = (
        results[run_name("sampled", "lazy_adam", ops, 0)]["running_losses"]
        for ops in ("native", "reference")
    )
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(6.4, 4.8), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    above.plot(native, label="fused ops", linewidth=3, alpha=0.4)
    above.plot(plain, label="plain ops", linewidth=1)
    above.set(ylabel="loss, mean of the epoch so far")
    above.set_title("MovieLens 100K, sampled softmax, LazyAdam, one seed")
    above.legend()
    below.plot(relative_differences(native, plain), linewidth=1)
    below.set(xlabel="step", ylabel="relative difference")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> None:
    """Trains, prints, plots and writes."""
    options = measure.parse(measure.parser(__doc__.splitlines()[0]))
    machine = measure.describe_machine()
    settings = QUICK_SETTINGS if options.quick else SETTINGS

    def run(name: str) -> measure.Result:
        loss, optimizer, ops, seed = name.split("/")
        arguments = {"loss": loss, "optimizer": optimizer, "seed": int(seed), **settings}
        return measure.run_worker(
            "benchmarks.training.parity_case", arguments, {"MEMCOM_TF_OPS": ops}
        )

    measured = measure.in_rounds(runs(options.rounds), 1, run)
    results = {name: found for name, (found,) in measured.items()}
    document = {
        **figures(results, options.rounds),
        "settings": {**settings, "num_negatives": NUM_NEGATIVES},
        "machine": machine,
    }
    if options.published:
        measure.RESULTS.mkdir(exist_ok=True)
        plot(results, measure.RESULTS / PLOT)
    measure.publish("training_parity", options, document, report(document))


if __name__ == "__main__":
    main()
