"""From MovieLens 100K to a ranked list on a phone's runtime: train, convert, prove, rank.

Trains a next-item ranker with an uncompressed table, with MEmCom and with a plain table so narrow
that it costs the same bytes; compresses the first one to half of that; exports them; runs the files
on LiteRT; compares.

    python examples/movielens_demo.py --output build/demo
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import matplotlib.pyplot as plt
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from memcom_tf import FullEmbedding, MEmComEmbedding, save_model
from memcom_tf._keras import keras
from memcom_tf.compression import SETTINGS, Candidate, compress_ranker
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.datasets import movielens_100k
from memcom_tf.evaluation import (
    RankingValidation,
    Split,
    evaluate_lists,
    evaluate_ranking,
    leave_last_out,
    rank_examples,
    standard_error,
)
from memcom_tf.models import NextItemRanker

HISTORY_LENGTH = 50
K = 10
NUM_BUCKETS = 1370
"""Shared rows: what 8x smaller than the uncompressed float32 file leaves room for."""
SMALL_BYTES = 28_000
"""16x smaller: what `compress` is given."""
SMALL_NUM_BUCKETS = 290
"""Shared rows of MEmCom, trained from the start in order of frequency, at the same bytes."""
LOW = {"shared": "int4_per_table", "multiplier": "int8_per_bucket"}
QUICK_CANDIDATES = (
    Candidate(MEmComEmbedding, {"num_buckets": 140, "num_dedicated": 140, "storage": LOW}),
)
"""What is tried instead of all methods, each at the size that fits, with `--quick`."""


@dataclass(frozen=True)
class Recipe:
    """A model to train, and the files to write of it: name -> how tables are stored."""

    name: str
    embedding: Any
    files: dict[str, str]
    hidden_units: tuple[int, ...] = ()
    learning_rate: float = 6e-3


def recipes(input_dim: int) -> list[Recipe]:
    """The models of the demo; every table serves as input and as output."""
    start = keras.initializers.RandomNormal(stddev=0.05)
    return [
        Recipe(
            "uncompressed",
            FullEmbedding(input_dim, 64, start, name="items"),
            {"uncompressed float32": "float32", "uncompressed int8": "int8"},
        ),
        Recipe(
            "memcom",
            MEmComEmbedding(
                input_dim,
                24,
                start,
                num_buckets=NUM_BUCKETS,
                multiplier_learning_rate=10.0,
                name="items",
            ),
            {"MEmCom int8": "int8"},
        ),
        Recipe(
            "memcom_small",
            MEmComEmbedding(
                input_dim,
                24,
                start,
                num_buckets=SMALL_NUM_BUCKETS,
                multiplier_learning_rate=10.0,
                name="items",
            ),
            {"MEmCom int8, 16x": "int8"},
        ),
        Recipe(
            "narrow", FullEmbedding(input_dim, 19, start, name="items"), {"narrow int8": "int8"}
        ),
    ]


def train(recipe: Recipe, split: Split, seed: int, epochs: int, verbose: int = 1) -> NextItemRanker:
    """Trains to the best epoch on validation."""
    keras.utils.set_random_seed(seed)
    model = NextItemRanker(
        recipe.embedding,
        history_length=HISTORY_LENGTH,
        hidden_units=recipe.hidden_units,
        dropout=0.1,
        item_dropout=0.1,
        vocabulary=split.vocabulary,
        name=recipe.name,
    )
    batch_size = 512
    steps = epochs * -(-len(split.train) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps, alpha=0.05)
    model.compile(keras.optimizers.Adam(schedule))
    best_epoch = keras.callbacks.EarlyStopping(
        f"val_ndcg@{K}", mode="max", patience=4, restore_best_weights=True
    )
    model.fit(
        split.train.history,
        split.train.target,
        batch_size=batch_size,
        epochs=epochs,
        verbose=verbose,
        callbacks=[RankingValidation(split.validation, k=K), best_epoch],
    )
    return model


def measure(
    name: str, model: NextItemRanker, path: Path, weights: str, split: Split
) -> dict[str, Any]:
    """Exports a model, proves the file, and evaluates it on the test targets."""
    conversion = convert(model, k=K, weights=weights)
    assert conversion.verification is not None
    if not conversion.verification.passed:
        raise SystemExit(f"{name}: the file does not equal the model: {conversion.verification}")
    conversion.save(path, overwrite=True)
    file = CompressedModelFile(path)
    in_keras = evaluate_ranking(model.predict_on_batch, split.test, k=K)
    in_file = evaluate_lists(lambda history: file.rank(history)[0], split.test, k=K)
    ranks = rank_examples(model.predict_on_batch, split.test)
    return {
        "name": name,
        "file": path.name,
        "parameters": conversion.report["parameters"],
        "tflite_bytes": conversion.report["graph_bytes"],
        "vocabulary_bytes": conversion.report["file_bytes"] - conversion.report["graph_bytes"],
        "ndcg_at_10_keras": in_keras[f"ndcg@{K}"],
        "ndcg_at_10_tflite": in_file[f"ndcg@{K}"],
        "ndcg_at_10_standard_error": standard_error(ranks, K),
        "recall_at_10_keras": in_keras[f"recall@{K}"],
        "recall_at_10_tflite": in_file[f"recall@{K}"],
        "max_embedding_error": conversion.verification.value("embed: largest error of a vector"),
        "rank_ms": latency(file, split.test.history[:50]),
    }


def latency(file: CompressedModelFile, histories: np.ndarray) -> float:
    """Median milliseconds of `rank`, one thread, after a warm-up."""
    file.rank(histories[0])
    times = []
    for history in np.tile(histories, (4, 1)):
        start = time.perf_counter()
        file.rank(history)
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


def show_table(console: Console, models: list[dict[str, Any]]) -> None:
    """Prints the comparison."""
    table = Table(
        box=SIMPLE,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title="MovieLens 100K, all films ranked, history left out",
    )
    table.add_column("file", no_wrap=True)
    for column in (
        "para-\nmeters",
        "bytes",
        "ratio",
        "nDCG@10\nKeras",
        "nDCG@10\nfile",
        "recall\n@10 file",
        "rank\nms",
    ):
        table.add_column(column, justify="right")
    largest = models[0]["tflite_bytes"]
    for model in models:
        table.add_row(
            model["name"],
            f"{model['parameters']:,}",
            f"{model['tflite_bytes']:,}",
            f"{largest / model['tflite_bytes']:.1f}",
            f"{model['ndcg_at_10_keras']:.4f}",
            f"{model['ndcg_at_10_tflite']:.4f}",
            f"{model['recall_at_10_tflite']:.4f}",
            f"{model['rank_ms']:.3f}",
        )
    console.print(table)
    console.print(
        f"Bytes are those of the graph with its tables; the vocabulary with titles adds "
        f"{models[0]['vocabulary_bytes']:,} to each file. The standard error of an nDCG@10 here is "
        f"{models[0]['ndcg_at_10_standard_error']:.4f} ({models[0]['name']})."
    )


def plot(models: list[dict[str, Any]], path: Path) -> None:
    """Draws quality against bytes."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for model in models:
        kilobytes, quality = model["tflite_bytes"] / 1e3, model["ndcg_at_10_tflite"]
        axes.errorbar(kilobytes, quality, model["ndcg_at_10_standard_error"], fmt="o", capsize=3)
        axes.annotate(
            model["name"], (kilobytes, quality), (7, 4), textcoords="offset points", fontsize=9
        )
    axes.set(xscale="log", xlim=(40, 1600), ylabel="test nDCG@10 from the file")
    axes.set_xlabel("graph and tables, kB")
    axes.set_xticks([50, 100, 200, 500, 1000], ["50", "100", "200", "500", "1000"])
    axes.minorticks_off()
    axes.set_title("Quality against bytes, MovieLens 100K (bars: one standard error)")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def show_ranking(console: Console, path: Path, split: Split, user: int) -> None:
    """Prints what a user watched beside what the compressed file proposes."""
    file = CompressedModelFile(path)
    history = split.test.history[user]
    watched = file.vocabulary.detail("title", history[history != 0][-K:])[::-1]
    ids, _ = file.rank(history)
    proposed = file.vocabulary.detail("title", ids)
    watched_next = file.vocabulary.detail("title", split.test.target[user]).item()
    table = Table("", "watched last", f"proposed by {path.name}")
    for position in range(K):
        before = watched[position] if position < len(watched) else ""
        table.add_row(str(position + 1), before, proposed[position])
    console.print(table)
    console.print(f"What this user watched next: {watched_next}")
    titles = list(file.vocabulary.detail("title", np.arange(file.vocabulary.input_dim)))
    clear = [title for title in watched if titles.count(title) == 1]  # remakes share a title
    program = Path(os.path.relpath(Path(sys.executable).with_name("memcom")))
    command = [str(program), "rank", str(path), "--history", *clear[1::-1], "-k", "10"]
    console.print("Try:", style="bold")
    console.print(f"  {shlex.join(command)}", soft_wrap=True, highlight=False)


def main() -> None:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one epoch, one way to compress")
    parser.add_argument("--user", type=int, default=0, help="row of the user to rank for")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    console = Console()
    epochs = 1 if options.quick else options.epochs

    console.rule("1. Data")
    split = leave_last_out(movielens_100k(), history_length=HISTORY_LENGTH)
    console.print(
        f"MovieLens 100K: {len(split.vocabulary):,} films, {len(split.train):,} training examples, "
        f"{len(split.validation):,} validation and {len(split.test):,} test targets "
        "(each user's last two films by time)"
    )
    models = []
    trained = {}
    for number, recipe in enumerate(recipes(split.vocabulary.input_dim), start=2):
        console.rule(f"{number}. Train and export: {recipe.name}")
        model = train(recipe, split, options.seed, epochs)
        save_model(model, options.output / f"{recipe.name}.keras")
        trained[recipe.name] = model
        for name, weights in recipe.files.items():
            path = options.output / f"{name.replace(' ', '_').lower()}.tflite"
            models.append(measure(name, model, path, weights, split))
            console.print(f"{path}: equals the model within its bounds")
    console.rule("6. Compress the uncompressed model")
    small = compress_ranker(
        trained["uncompressed"],
        split,
        max_bytes=SMALL_BYTES,
        settings=replace(SETTINGS, k=K, seed=options.seed, epochs=epochs),
        candidates=QUICK_CANDIDATES if options.quick else None,
        report=lambda line: console.print(line, highlight=False, soft_wrap=True),
    )
    console.print(str(small), highlight=False, soft_wrap=True)
    save_model(small.model, options.output / "compressed.keras")
    path = options.output / "compressed.tflite"
    models.append(measure("compressed, 16x", small.model, path, "int8", small.split))
    console.rule("7. Compare")
    show_table(console, models)
    plot(models, options.output / "quality_against_bytes.png")
    report = {"data_set": "MovieLens 100K", "seed": options.seed, "models": models}
    for model in models:
        model["ratio"] = models[0]["tflite_bytes"] / model["tflite_bytes"]
    (options.output / "report.json").write_text(json.dumps(report, indent=1))
    console.print(f"Report: {options.output / 'report.json'}, plot beside it.")
    console.rule("8. Rank with the compressed file alone")
    show_ranking(console, options.output / "compressed.tflite", small.split, options.user)


if __name__ == "__main__":
    main()
