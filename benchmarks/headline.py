"""How small a ranker's file may be, beside models that the field knows.

    python -m benchmarks.headline --data s3rec_beauty.npz [--seeds 0 1 2]
    python -m benchmarks.headline --data FILE --quick --json OUT

A ranker of the recipe is trained, once for each seed. Its files in float32, int8 and int4, that of
ai-edge-quantizer, and those that `compress` makes for a number of bytes rank all items for every
test user; nDCG and recall are of these lists. Popularity and EASE (Steck, WWW 2019) are plain
baselines on the same split. Figures of other people's models are quoted, for s3rec_beauty. Writes
results/headline_DATA, as .jsonl, .md and .png. Resumable: what is in the .jsonl is not run again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS, table
from benchmarks.common.runs import Row, Runs
from benchmarks.pairwise import gains_of, ranks_of
from memcom_tf import save_model
from memcom_tf._keras import keras
from memcom_tf.compression import SETTINGS, compress_ranker
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.evaluation import Split, evaluate_ranking, load_split
from memcom_tf.files import write_atomically
from memcom_tf.training import TrainingSettings, train_ranker

K = 10
SIZES = 256_000, 128_000, 64_000
"""Bytes of the graph with its tables."""
_QUICK_STEPS, _QUICK_USERS = 200, 500
_REGULARIZER = 100.0
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class Quoted:
    """A figure that others have published."""

    name: str
    ndcg: float
    bytes: int
    source: str


QUOTED = {
    "s3rec_beauty": (
        Quoted("SASRec", 0.0272, 20_000_000, "measured by an independent repository"),
        Quoted("TIGER", 0.0319, 20_000_000, "measured by an independent repository"),
        Quoted("TIGER, its paper", 0.0384, 20_000_000, "Rajput et al., NeurIPS 2023"),
    )
}
"""Leave-one-out, all items ranked; about 5 million parameters each, in float32."""


@dataclass(frozen=True)
class Case:
    """The data, how rankers are trained, and where these are kept."""

    split: Split
    name: str
    work: Path
    steps: int | None

    def trained(self, seed: int) -> Any:
        """The ranker of a seed, from the disk if it is there."""
        path = self.work / f"{self.name}-{self.steps}-{seed}.keras"
        if not path.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            settings = TrainingSettings(seed=seed, steps=self.steps)
            save_model(train_ranker(self.split, settings=settings).model, path)
        return keras.models.load_model(path)

    def stored(self, seed: int, weights: str) -> Row:
        """Its file, stored in a way."""
        return _of_file(self.trained(seed), self.split, weights)

    def with_history(self, seed: int) -> Row:
        """The trained ranker where items of the history may be ranked too."""
        test = self.split.test
        examples = replace(test, seen=np.zeros((len(test), 1), test.history.dtype))
        model = self.trained(seed)
        found = evaluate_ranking(model.predict_on_batch, examples, k=K)
        return {"ndcg": float(found[f"ndcg@{K}"]), "recall": float(found[f"recall@{K}"])}

    def by_google(self, seed: int) -> Row:
        """What ai-edge-quantizer makes of TensorFlow's file: int8 weights by channel."""
        from ai_edge_litert.interpreter import Interpreter

        from benchmarks.export.__main__ import google

        model = self.trained(seed)
        model(self.split.test.history[:1])  # Keras exports no model that was never called
        with tempfile.TemporaryDirectory() as folder:
            path = google(model, Path(folder))
            runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner(
                "serving_default"
            )
            ((name, details),) = runner.get_input_details().items()

            def scores(histories: Any) -> Any:
                rows = histories.astype(details["dtype"])
                found = (runner(**{name: row[None]}) for row in rows)
                return np.concatenate([next(iter(output.values())) for output in found])

            metrics = evaluate_ranking(scores, self.split.test, k=K, batch_size=_ROWS_AT_A_TIME)
            size = path.stat().st_size
        return {
            "bytes": size,
            "graph_bytes": size,
            "ndcg": float(metrics[f"ndcg@{K}"]),
            "recall": float(metrics[f"recall@{K}"]),
        }

    def compressed(self, seed: int, max_bytes: int) -> Row:
        """The file of `compress` of so many bytes."""
        settings = replace(SETTINGS, seed=seed)
        settings = settings if self.steps is None else replace(settings, steps=self.steps)
        found = compress_ranker(
            self.trained(seed), self.split, max_bytes=max_bytes, settings=settings
        )
        return {**_of_file(found.model, found.split, "int8"), "chosen": str(found.chosen)}

    def popularity(self, seed: int) -> Row:
        """All users get the most frequent items."""
        counts = np.zeros(self.split.vocabulary.input_dim, np.float32)
        counts[self._ids] = self.split.vocabulary.counts
        return self._of_scores(lambda histories: np.tile(counts, (len(histories), 1)))

    def ease(self, seed: int) -> Row:
        """EASE: a weight for each pair of items, in closed form, from the sets of all users."""
        items = self.split.vocabulary.input_dim
        users, user = np.unique(self.split.train_interactions.user, return_inverse=True)
        ids = self.split.vocabulary.ids(self.split.train_interactions.item)
        gram = np.zeros((items, items), np.float32)
        for begin in range(0, len(users), _ROWS_AT_A_TIME * 8):
            rows = np.zeros((_ROWS_AT_A_TIME * 8, items), np.float32)
            here = (user >= begin) & (user < begin + len(rows))
            rows[user[here] - begin, ids[here]] = 1.0
            gram += rows.T @ rows
        gram[np.diag_indices(items)] += _REGULARIZER
        inverse = np.linalg.inv(gram)
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0.0)

        def scores(histories: Any) -> Any:
            seen = np.zeros((len(histories), items), np.float32)
            seen[np.arange(len(histories))[:, None], histories] = 1.0
            seen[:, 0] = 0.0
            return seen @ weights

        return {**self._of_scores(scores), "graph_bytes": weights.nbytes}

    @cached_property
    def _ids(self) -> Any:
        vocabulary = self.split.vocabulary
        return vocabulary.ids(list(vocabulary))

    def _of_scores(self, scores: Callable[[Any], Any]) -> Row:
        found = evaluate_ranking(scores, self.split.test, k=K, batch_size=_ROWS_AT_A_TIME)
        return {"ndcg": float(found[f"ndcg@{K}"]), "recall": float(found[f"recall@{K}"])}


WITH_HISTORY = "float32, items of the history ranked too"
KINDS: dict[str, Callable[[Case, int], Row]] = {
    "float32": lambda case, seed: case.stored(seed, "float32"),
    WITH_HISTORY: Case.with_history,
    "int8": lambda case, seed: case.stored(seed, "int8"),
    "int4": lambda case, seed: case.stored(seed, "int4"),
    "ai-edge-quantizer, int8": Case.by_google,
    **{
        f"compress, {size // 1000} kB": lambda case, seed, size=size: case.compressed(seed, size)
        for size in SIZES
    },
    "popularity": Case.popularity,
    "EASE": Case.ease,
}
_WITHOUT_SEED = "popularity", "EASE"


def _of_file(model: Any, split: Split, weights: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        convert(model, k=K, weights=weights, verify=False).save(path)
        file = CompressedModelFile(path)
        ranks = ranks_of(file, split)
        return {
            "bytes": path.stat().st_size,
            "graph_bytes": file.archive.graph_bytes,
            "ndcg": float(gains_of(ranks).mean()),
            "recall": float((ranks <= K).mean()),
        }


def report(rows: list[Row], name: str, users: int) -> str:
    """The runs in Markdown."""
    full = _values(rows, "float32", "ndcg")
    lines = []
    for kind in KINDS:
        ndcg = _values(rows, kind, "ndcg")
        if not ndcg:
            continue
        size, recall = _values(rows, kind, "graph_bytes"), _values(rows, kind, "recall")
        lost = f"{100 * (1 - statistics.mean(ndcg) / statistics.mean(full)):+.1f}" if full else "-"
        lines.append(
            (
                kind,
                f"{statistics.mean(size):,.0f}" if size else "-",
                _spread(ndcg),
                _spread(recall),
                "-" if kind in ("float32", *_WITHOUT_SEED) else lost,
                str(len(ndcg)) if kind not in _WITHOUT_SEED else "-",
            )
        )
    lines += [
        (f"{of.name} (quoted: {of.source})", f"{of.bytes:,}", f"{of.ndcg:.4f}", "-", "-", "-")
        for of in QUOTED.get(name, ())
    ]
    head = ("file", "bytes of the graph", f"nDCG@{K}", f"recall@{K}", "lost, %", "seeds")
    quoted = (
        " What is quoted has the same users, items and last interactions, and ranks all items; "
        "about five million parameters are 20 MB in float32. Whether items of the history were "
        "left out there, as they are here, is not known to us: the second row leaves none out."
    )
    return (
        f"# Bytes of a ranker's file: {name}\n\n"
        f"`python -m benchmarks.headline`. The last interaction of each of {users:,} users is "
        "test, the one before validation; all items are ranked, those of the history left out, by "
        "the exported file alone. Bytes are those of the graph with its tables; names of the "
        "items come on top. Mean ± standard deviation over seeds."
        f"{quoted if name in QUOTED else ''}\n\n"
        f"![Bytes against nDCG](headline_{name}.png)\n\n{table(head, lines, 1)}"
    )


def plot(rows: list[Row], name: str, path: Path) -> None:
    """Draws bytes against nDCG: our files, those of others, and what is quoted."""
    figure, axes = plt.subplots(figsize=(9, 4.8), layout="constrained")
    series = {
        "memcom_tf compress": [kind for kind in KINDS if kind.startswith("compress")],
        "memcom_tf, the model as it is: float32, int8, int4": ["float32", "int8", "int4"],
        "ai-edge-quantizer, int8": ["ai-edge-quantizer, int8"],
    }
    for (label, kinds), style in zip(series.items(), ("o-", "s", "D"), strict=True):
        points = sorted(
            (statistics.mean(size), statistics.mean(_values(rows, kind, "ndcg")))
            for kind in kinds
            if (size := _values(rows, kind, "graph_bytes"))
        )
        if points:
            axes.plot(*zip(*points, strict=True), style, markersize=8, label=label)
    whole, ranked_too = _values(rows, "float32", "graph_bytes"), _values(rows, WITH_HISTORY, "ndcg")
    if whole and ranked_too:
        at = statistics.mean(whole), statistics.mean(ranked_too)
        label = "memcom_tf, float32, items of the history ranked too"
        axes.plot(*at, "s", markersize=8, fillstyle="none", color="tab:orange", label=label)
    for of in QUOTED.get(name, ()):
        axes.plot(of.bytes, of.ndcg, "x", color="black", markersize=9, markeredgewidth=2)
        axes.annotate(
            f"{of.name}, quoted",
            (of.bytes, of.ndcg),
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
        )
    axes.set(
        title=f"The same ranking in a fraction of the bytes: {name}\n"
        "history left out of the list, but for the hollow mark; of the quoted that is not known",
        xscale="log",
        xlabel="bytes of the file, without the items' names",
        ylabel=f"test nDCG@{K}, all items ranked (more is better)",
    )
    axes.set_ylim(bottom=0)
    ticks = [5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7]
    axes.set_xticks(ticks, [f"{t / 1e6:g} MB" if t >= 1e6 else f"{t / 1e3:g} kB" for t in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower center")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _values(rows: list[Row], kind: str, key: str) -> list[float]:
    return [row[key] for row in rows if row["kind"] == kind and key in row]


def _spread(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{deviation}"


def main() -> None:
    """Runs what is missing, and writes the table and the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="interactions, as memcom takes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/headline_DATA.jsonl")
    parser.add_argument("--work", type=Path, default=Path("build/headline"))
    parser.add_argument("--quick", action="store_true", help="a part of the users, few steps")
    options = parser.parse_args()
    name = options.data.name.split(".")[0]
    split = load_split(options.data)
    if options.quick:
        few = np.arange(min(_QUICK_USERS, len(split.test)))
        split = replace(split, test=split.test[few], validation=split.validation[few])
        options.seeds = options.seeds[:1]
    case = Case(split, name, options.work, _QUICK_STEPS if options.quick else None)
    path = options.json or RESULTS / f"headline_{name}.jsonl"
    runs = Runs(path, {"data": name, "quick": options.quick})
    machine = describe()
    for seed in options.seeds:
        for kind in options.kinds:
            key = {"kind": kind, "seed": seed}
            if runs.has(key) or (kind in _WITHOUT_SEED and runs.has({"kind": kind})):
                continue
            begin = time.monotonic()
            row = {**key, **KINDS[kind](case, seed), "commit": machine["commit"]}
            runs.keep({**row, "seconds": round(time.monotonic() - begin)})
            print({name: row.get(name) for name in ("kind", "seed", "ndcg", "graph_bytes")})
    plot(runs.rows, name, path.with_suffix(".png"))
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    text = f"{report(runs.rows, name, len(split.test))}\n\n{facts}\n"
    write_atomically(path.with_suffix(".md"), text.encode())
    print(text)


if __name__ == "__main__":
    main()
