"""Rankers that learn by pairs of items: what that gains or costs, and what compression costs them.

    python -m benchmarks.pairwise --data FILE [--ratio 32] [--seeds 0 1 2] [--json OUT]
    python -m benchmarks.pairwise --data FILE --quick --json OUT

A ranker of the recipe is trained by each loss, with a full table for both sides; then it is
compressed to a file that is so many times smaller than its float32 file, and MEmCom of the same
ratio is trained from scratch. In the setting of MEmCom's paper a ranker has a table for each side,
and that of the histories alone becomes MEmCom, or what `compress` would take, after the one of full
tables; or histories read the output's table, and the projection of the query is all that is their
own. nDCG is of the lists of the files, of every test user. Resumable: what is in OUT is not run
again, and models are kept in --work. Writes results/pairwise_DATA, as .jsonl and .md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS, table
from benchmarks.common.runs import Row, Runs
from benchmarks.quality.input import with_best_input, with_compressed_input
from memcom_tf import save_model
from memcom_tf._keras import keras
from memcom_tf.compression import SETTINGS, compress_ranker
from memcom_tf.compression.file_size import graph_bytes
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.evaluation import Split, load_split
from memcom_tf.evaluation.metrics import ranks_from_lists
from memcom_tf.layers import FullEmbedding
from memcom_tf.seeding import seeded
from memcom_tf.training import TrainingSettings, new_ranker, train, train_ranker
from memcom_tf.training.recipe import start

LOSSES = "softmax", "ranknet"
TWO_TABLES, INPUT_ALONE = "full, two tables", "MEmCom for the input alone"
BEST_INPUT = "the best method for the input alone"
OF_TWO_TABLES = INPUT_ALONE, BEST_INPUT
ONE_TABLE = "the output's table for the input, projected"
KINDS = "full", "MEmCom from scratch", "compress", TWO_TABLES, *OF_TWO_TABLES
_K, _WIDTH = 10, 64
_RESAMPLES = 2000
_QUICK_STEPS, _QUICK_USERS = 200, 500


@dataclass(frozen=True)
class Case:
    """The data, how all of its rankers are trained, and where these are kept."""

    split: Split
    name: str
    work: Path
    ratio: float
    steps: int | None

    def settings(self, loss: str, seed: int) -> TrainingSettings:
        """How a ranker is trained by a loss."""
        return TrainingSettings(loss=loss, seed=seed, steps=self.steps)

    def full(self, loss: str, seed: int) -> Any:
        """The ranker with a full table, from the disk if it is there."""
        path = self.work / f"{self.name}-{loss}-{self.steps}-{seed}.keras"
        if not path.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            save_model(train_ranker(self.split, settings=self.settings(loss, seed)).model, path)
        return keras.models.load_model(path)

    def two_tables(self, loss: str, seed: int) -> Any:
        """The ranker with a full table for each side, from the disk if it is there."""
        path = self.work / f"{self.name}-untied-{loss}-{self.steps}-{seed}.keras"
        if not path.exists():
            with seeded(seed):
                output = FullEmbedding(
                    self.split.vocabulary.input_dim, _WIDTH, start(), name="scored_items"
                )
                model = new_ranker(self.split, width=_WIDTH, output_embedding=output)
            train(model, self.split, self.settings(loss, seed))
            self.work.mkdir(parents=True, exist_ok=True)
            save_model(model, path)
        return keras.models.load_model(path)

    def students_settings(self, loss: str, seed: int) -> TrainingSettings:
        """How a ranker is trained after another one."""
        settings = replace(SETTINGS, loss=loss, seed=seed)
        return settings if self.steps is None else replace(settings, steps=self.steps)

    def model(self, kind: str, loss: str, seed: int) -> tuple[Any, Split]:
        """A ranker, and the interactions under its ids."""
        if kind == "full":
            return self.full(loss, seed), self.split
        if kind == TWO_TABLES:
            return self.two_tables(loss, seed), self.split
        settings = self.students_settings(loss, seed)
        if kind in OF_TWO_TABLES:
            teacher = self.two_tables(loss, seed)
            if kind == BEST_INPUT:
                return with_best_input(teacher, self.split, self.ratio, settings)
            return with_compressed_input(teacher, self.split, self.ratio, settings)[:2]
        if kind == "compress":
            full = self.full(loss, seed)
            found = compress_ranker(full, self.split, ratio=self.ratio, settings=settings)
            return found.model, found.split
        trained = train_ranker(self.split, ratio=self.ratio, settings=self.settings(loss, seed))
        return trained.model, trained.split

    def measure(self, kind: str, loss: str, seed: int) -> Row:
        """Trains one ranker, writes its file and reads its lists."""
        start = time.monotonic()
        model, split = self.model(kind, loss, seed)
        path = self.work / "measured.tflite"
        convert(model, k=_K, verify=False).save(path, overwrite=True)
        ranks = ranks_of(CompressedModelFile(path), split)
        np.save(self.ranks_path(kind, loss, seed), ranks)
        gains = gains_of(ranks)
        of_two = kind in (TWO_TABLES, *OF_TWO_TABLES)
        original = self.two_tables(loss, seed) if of_two else self.full(loss, seed)
        row = {
            "kind": kind,
            "loss": loss,
            "seed": seed,
            "bytes": int(path.stat().st_size),
            "graph_bytes": CompressedModelFile(path).archive.graph_bytes,
            "float32_bytes": graph_bytes(original, "float32"),
            "ndcg": float(gains.mean()),
            "recall": float((ranks <= _K).mean()),
            "seconds": round(time.monotonic() - start),
        }
        reference = compared_with(kind, loss)
        if reference is not None:
            row |= interval(gains - gains_of(self.ranks(*reference, seed)))
        return row

    def ranks(self, kind: str, loss: str, seed: int) -> np.ndarray:
        """The ranks of the test users' targets by the file of a kind, made where they are not."""
        path = self.ranks_path(kind, loss, seed)
        if not path.exists():
            self.measure(kind, loss, seed)
        return np.load(path)

    def ranks_path(self, kind: str, loss: str, seed: int) -> Path:
        """Where the ranks of the test users' targets are kept."""
        name = f"{self.name}-{kind}-{loss}-{self.steps}-{self.ratio}-{seed}.npy"
        return self.work / name.replace(" ", "_")


def compared_with(kind: str, loss: str) -> tuple[str, str] | None:
    """Kind and loss of the runs that others are compared with; None of the first of all."""
    if kind in (*OF_TWO_TABLES, ONE_TABLE):
        return TWO_TABLES, loss
    if kind != "full":
        return "full", loss
    return ("full", LOSSES[0]) if loss != LOSSES[0] else None


def ranks_of(file: CompressedModelFile, split: Split) -> np.ndarray:
    """The rank of each test target in the file's list; infinite where it is not in it."""
    lists = [file.rank(history)[0] for history in split.test.history]
    return ranks_from_lists(np.stack(lists), split.test.target)


def gains_of(ranks: np.ndarray) -> np.ndarray:
    """NDCG of each user: one target, so that it is `1 / log2(1 + rank)`."""
    return np.where(ranks <= _K, 1 / np.log2(1 + ranks), 0.0)


def interval(differences: np.ndarray) -> Row:
    """The mean of differences of users, with its 95 % interval over resampled users."""
    found = stats.bootstrap(
        (differences,), np.mean, n_resamples=_RESAMPLES, batch=100, method="percentile", rng=0
    )
    low, high = found.confidence_interval
    return {
        "difference": float(differences.mean()),
        "difference_low": float(low),
        "difference_high": float(high),
    }


def with_one_table(rows: list[Row], case: Case) -> list[Row]:
    """The runs, and again those of one full table as ones whose input takes the output's table."""
    found = list(rows)
    for row in rows:
        key = row["loss"], row["seed"]
        two = [of for of in rows if of["kind"] == TWO_TABLES and (of["loss"], of["seed"]) == key]
        known = [case.ranks_path(kind, *key) for kind in ("full", TWO_TABLES)]
        if row["kind"] == "full" and two and all(path.exists() for path in known):
            gains = [gains_of(np.load(path)) for path in known]
            of_two = {"kind": ONE_TABLE, "float32_bytes": two[0]["float32_bytes"]}
            found.append({**row, **of_two, **interval(gains[0] - gains[1])})
    return found


def report(rows: list[Row], name: str, ratio: float) -> str:
    """The runs in Markdown."""
    head = (
        "trained by",
        "table",
        "bytes of the graph",
        "times smaller",
        "test nDCG@10",
        "test recall@10",
        "difference, %",
        "95 % interval of users, %",
        "seconds",
    )
    kinds = [*KINDS, ONE_TABLE]
    lines = [line for loss in LOSSES for kind in kinds if (line := _line(rows, kind, loss))]
    seeds = sorted({row["seed"] for row in rows})
    return (
        f"# Learning by pairs: {name}\n\n"
        f"`python -m benchmarks.pairwise --ratio {ratio:g}`. Each user's last item is test; all "
        "items are ranked, those of the history left out, by the exported file alone. Times "
        "smaller than the float32 file of the full tables, without vocabularies. Differences: of "
        "a full table by pairs from the softmax, of the input alone, and of an input that reads "
        "the output's table, so that the projection of the query is all that it has of its own, "
        "from full tables for both sides, of others from the full table of their loss, the same "
        "seed and users; the interval resamples users, "
        "the widest of the seeds. Seeds "
        f"{', '.join(map(str, seeds))}: mean ± standard deviation.\n\n{table(head, lines, 2)}"
    )


def _line(rows: list[Row], kind: str, loss: str) -> tuple[str, ...] | None:
    found = [row for row in rows if (row["kind"], row["loss"]) == (kind, loss)]
    if not found:
        return None
    of_kind = compared_with(kind, loss)
    reference = _mean(rows, *of_kind) if of_kind else 0.0
    compared = "difference" in found[0] and reference
    parts = [("difference", statistics.mean), ("difference_low", min), ("difference_high", max)]
    of = {
        name: 100 * over(row[name] for row in found) / reference for name, over in parts if compared
    }
    return (
        loss,
        kind,
        f"{statistics.mean(row['graph_bytes'] for row in found):,.0f}",
        f"{statistics.mean(row['float32_bytes'] / row['graph_bytes'] for row in found):.1f}",
        _spread(found, "ndcg"),
        _spread(found, "recall"),
        f"{of['difference']:+.1f}" if compared else "-",
        f"{of['difference_low']:+.1f} to {of['difference_high']:+.1f}" if compared else "-",
        f"{statistics.median(row['seconds'] for row in found):.0f}",
    )


def _mean(rows: list[Row], kind: str, loss: str) -> float:
    found = [row["ndcg"] for row in rows if (row["kind"], row["loss"]) == (kind, loss)]
    return statistics.mean(found) if found else 0.0


def _spread(rows: list[Row], key: str) -> str:
    values = [row[key] for row in rows]
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


def cases(
    seeds: list[int], kinds: Sequence[str] = KINDS, losses: Sequence[str] = LOSSES
) -> Iterator[tuple[str, str, int]]:
    """Kind, loss and seed of every run; what others are compared with first."""
    for seed in seeds:
        for kind in KINDS:
            for loss in LOSSES:
                # What the others are compared with is run in any case.
                needed = kind == "full" or (
                    kind == TWO_TABLES and not set(OF_TWO_TABLES).isdisjoint(kinds)
                )
                if (kind in kinds or needed) and (loss in losses or kind == "full"):
                    yield kind, loss, seed


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="interactions, as memcom takes")
    parser.add_argument("--ratio", type=float, default=32.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=LOSSES, metavar="LOSS")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/pairwise_DATA.jsonl")
    parser.add_argument("--work", type=Path, default=Path("build/pairwise"))
    parser.add_argument("--quick", action="store_true", help="a part of the users, few steps")
    options = parser.parse_args()
    name = options.data.name.split(".")[0]
    split = load_split(options.data)
    if options.quick:
        few = np.arange(min(_QUICK_USERS, len(split.test)))
        split = replace(split, test=split.test[few], validation=split.validation[few])
        options.seeds = options.seeds[:1]
    steps = _QUICK_STEPS if options.quick else None
    case = Case(split, name + "-quick" * options.quick, options.work, options.ratio, steps)
    path = options.json or RESULTS / f"pairwise_{name}.jsonl"
    same = {"data": name, "ratio": options.ratio, "quick": options.quick}
    runs = Runs(path, same)
    options.work.mkdir(parents=True, exist_ok=True)
    for kind, loss, seed in cases(options.seeds, options.kinds, options.losses):
        key = {"kind": kind, "loss": loss, "seed": seed}
        if not runs.has(key):
            row = runs.keep(case.measure(kind, loss, seed))
            print({name: row[name] for name in ("loss", "kind", "seed", "ndcg", "graph_bytes")})
    machine = ", ".join(f"{name} {value}" for name, value in describe().items())
    rows = with_one_table(runs.rows, case)
    text = f"{report(rows, name, options.ratio)}\n\n{machine}\n"
    path.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
