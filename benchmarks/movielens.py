"""Quality and bytes of the demo's models over several seeds, from the exported files.

    python -m benchmarks.movielens --seeds 0 1 2 3 4

Resumable: finished runs are kept as lines of JSON and not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common.machine import describe
from examples.movielens_demo import HISTORY_LENGTH, NUM_BUCKETS, Recipe, measure, recipes, train
from memcom_tf import MEmComEmbedding
from memcom_tf.datasets import movielens_100k
from memcom_tf.evaluation import evaluate_ranking, leave_last_out

RESULTS = Path(__file__).parent / "results"
PUBLISHED = ("tflite_bytes", "ndcg_at_10_keras", "ndcg_at_10_tflite", "recall_at_10_tflite")


def variants(input_dim: int) -> list[Recipe]:
    """The demo's models, and one change at a time."""
    uncompressed, memcom, small, narrow = recipes(input_dim)
    start = memcom.embedding.embeddings_initializer

    def memcom_with(num_buckets: int, width: int, rate: float) -> MEmComEmbedding:
        return MEmComEmbedding(
            input_dim,
            width,
            start,
            num_buckets=num_buckets,
            multiplier_learning_rate=rate,
            name="items",
        )

    return [
        uncompressed,
        memcom,
        narrow,
        small,
        Recipe(
            "multiplier_at_rate_1",
            memcom_with(NUM_BUCKETS, 24, 1.0),
            {"MEmCom int8, multiplier at the table's learning rate": "int8"},
        ),
        Recipe(
            "memcom_wide",
            memcom_with(513, 64, 10.0),
            {"MEmCom int8, width 64, 3.3 ids a row": "int8"},
        ),
        replace(
            uncompressed,
            name="tower",
            hidden_units=(64,),
            files={"uncompressed float32, dense tower 64-64": "float32"},
        ),
    ]


def run(name: str, seed: int, split: Any) -> list[dict[str, Any]]:
    """Trains one model with one seed and measures its files."""
    recipe = next(r for r in variants(split.vocabulary.input_dim) if r.name == name)
    model = train(recipe, split, seed, epochs=7, verbose=0)
    validation = evaluate_ranking(model.predict_on_batch, split.validation)
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for label, weights in recipe.files.items():
            row = measure(label, model, Path(directory) / "model.tflite", weights, split)
            row |= {"model": name, "seed": seed, "validation_ndcg_at_10": validation["ndcg@10"]}
            rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table of means and standard deviations over seeds."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    lines = [
        "| file | bytes | times smaller | validation nDCG@10 | test nDCG@10, Keras "
        "| test nDCG@10, file | test recall@10, file | rank, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    largest = next(row["tflite_bytes"] for row in rows)
    for name in names:
        runs = [row for row in rows if row["name"] == name]

        def spread(key: str, runs: list[dict[str, Any]] = runs) -> str:
            values = [row[key] for row in runs]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            return f"{statistics.mean(values):.4f} ± {deviation:.4f}"

        size = runs[0]["tflite_bytes"]
        milliseconds = statistics.median(row["rank_ms"] for row in runs)
        lines.append(
            f"| {name} | {size:,} | {largest / size:.1f} | {spread('validation_ndcg_at_10')} "
            f"| {spread('ndcg_at_10_keras')} | {spread('ndcg_at_10_tflite')} "
            f"| {spread('recall_at_10_tflite')} | {milliseconds:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path, default=RESULTS / "movielens.jsonl")
    options = parser.parse_args()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    split = leave_last_out(movielens_100k(), history_length=HISTORY_LENGTH)
    lines = options.json.read_text().splitlines() if options.json.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {(row["model"], row["seed"]) for row in rows}
    for seed in options.seeds:
        for recipe in variants(split.vocabulary.input_dim):
            if (recipe.name, seed) in done:
                continue
            for row in run(recipe.name, seed, split):
                print(recipe.name, seed, {key: row[key] for key in PUBLISHED}, flush=True)
                rows.append(row)
                with options.json.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    machine = ", ".join(f"{key} {value}" for key, value in describe().items())
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    text = (
        "# MovieLens 100K: quality and bytes of the demo's models\n\n"
        "`python -m benchmarks.movielens`. Last film of each of 943 users as test, the one before "
        f"as validation, all 1,682 films ranked, history left out. Seeds {seeds}: mean ± standard "
        "deviation. The standard error of one test nDCG@10 from the choice of users is about "
        "0.008, the same users in every row. Bytes: graph and tables, without the vocabulary "
        f"member.\n\n{table(rows)}\n\n{machine}\n"
    )
    options.json.with_suffix(".md").write_text(text)
    print(table(rows))


if __name__ == "__main__":
    main()
