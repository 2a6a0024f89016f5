"""What the defaults of training and of `compress` are chosen by: one at a time changed.

    python -m benchmarks.recipe --data FILE [--parts alone memcom codes biases] [--ratio 40]

From interactions alone, MEmCom is trained as `train_ranker` does it; after a teacher, the MEmCom
and the residual codes that `compress` finds best at the ratio are. nDCG on validation decides.
Resumable as `benchmarks.quality`, whose teachers it finds in --work. Writes results/recipe_DATA,
as .jsonl and .md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from rich.progress import track

from benchmarks.common.machine import describe
from benchmarks.common.measure import table
from benchmarks.common.runs import Row, Runs
from benchmarks.quality import __main__ as quality
from benchmarks.quality import report as quality_report
from benchmarks.quality.case import Case
from benchmarks.quality.data import load
from memcom_tf._keras import keras
from memcom_tf.compression import Candidate, Compression, compress_ranker
from memcom_tf.compression.biases import STEP, correct_biases
from memcom_tf.compression.students import queries_of, uncompressed
from memcom_tf.evaluation import Split, evaluate_ranking
from memcom_tf.files import write_atomically
from memcom_tf.layers import CompressedEmbedding, MEmComEmbedding, ResidualQuantizedEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.training import DistilledRanker, new_ranker, train
from memcom_tf.training.recipe import by_similarity, memcom_of

RATIO_ALONE = 16
"""Parameters of a full table over those of MEmCom, where there is no teacher."""
_TRAINING = import_module("memcom_tf.training.train")  # the package has a function of that name


class Recipes:
    """Rankers of one data set, by recipes that differ in one thing.

    Args:
        case: The data, the settings, and the teachers.
        limit: Bytes of a compressed file.
        steps: Of training without a teacher.
        seed: The seed.
    """

    def __init__(self, case: Case, limit: int, steps: int, seed: int) -> None:
        self.case, self.limit, self.seed = case, limit, seed
        self.alone = replace(case.settings.training, steps=steps, seed=seed)
        self.student = replace(case.settings.student, seed=seed)

    @cached_property
    def teacher(self) -> NextItemRanker:
        """The trained ranker that is compressed."""
        return self.case.trained_baseline("teacher", self.seed)[0]

    @cached_property
    def chosen(self) -> dict[type[CompressedEmbedding], Candidate]:
        """Of each layer that `compress` tries, the candidate that is best in closed form."""
        settings = replace(self.student, epochs=0)
        found = compress_ranker(
            self.teacher, self.case.split, max_bytes=self.limit, settings=settings
        )
        ascending = sorted(found.trials, key=lambda trial: trial.ndcg_before)
        return {trial.candidate.method: trial.candidate for trial in ascending}

    def from_scratch(
        self,
        layer: dict[str, Any] | None = None,
        unshared: bool = True,
        ordered: bool = True,
        decayed: str = "",
        **changed: Any,
    ) -> tuple[NextItemRanker, Split]:
        """Without a teacher: arguments of MEmCom changed, or settings of the training."""
        split, width = self.case.split, self.case.settings.width
        config = memcom_of(split.vocabulary.input_dim, width, RATIO_ALONE).get_config()
        if not unshared:
            config["num_buckets"] += config["num_dedicated"]
            config["num_dedicated"] = 0
        embedding = MEmComEmbedding.from_config({**config, **(layer or {})})
        if ordered:
            split = by_similarity(split, embedding.sharing, width)
        scalars = [name for name in _TRAINING.SCALARS if name != decayed]
        keras.utils.set_random_seed(self.seed)
        model = new_ranker(split, embedding)
        with mock.patch.object(_TRAINING, "SCALARS", scalars):
            train(model, split, replace(self.alone, **changed))
        return model, split

    def after_teacher(
        self,
        method: type[CompressedEmbedding] = MEmComEmbedding,
        layer: dict[str, Any] | None = None,
        dropout: bool | None = None,
        **changed: Any,
    ) -> tuple[NextItemRanker, Split]:
        """After a teacher: arguments of the layer changed, or settings of the training."""
        candidate = self._candidate(method)
        arguments = {**candidate.arguments, **(layer or {})}
        distilled = partial(DistilledRanker, dropout=dropout)
        with mock.patch.object(_TRAINING, "DistilledRanker", distilled):
            found = self._compressed(replace(candidate, arguments=arguments), **changed)
        return found.model, found.split

    def with_biases(self, step: float) -> tuple[NextItemRanker, Split]:
        """In closed form, the biases of the items so far on the way to equal shares."""
        candidate = self._candidate(MEmComEmbedding)
        found, split = self._compressed(candidate, epochs=0), self.case.split
        assert found.model.vocabulary is not None
        original = uncompressed(self.teacher, found.model.vocabulary)
        mean_query = queries_of(self.teacher, split).mean(axis=0)
        correct_biases(found.model, original, mean_query, found.split, step)
        return found.model, found.split

    def _candidate(self, method: type[CompressedEmbedding]) -> Candidate:
        if method not in self.chosen:
            raise SystemExit(
                f"`compress` must try {method.__name__} at that size. "
                "Received: "
                f"tried={[str(candidate) for candidate in self.chosen.values()]}. "
                "Choose another --ratio, or other --parts."
            )
        return self.chosen[method]

    def _compressed(self, candidate: Candidate, **changed: Any) -> Compression:
        return compress_ranker(
            self.teacher,
            self.case.split,
            max_bytes=self.limit,
            settings=replace(self.student, **changed),
            candidates=[candidate],
        )


Recipe = Callable[[Recipes], tuple[NextItemRanker, Split]]


PARTS = {
    "alone": "From interactions alone",
    "memcom": "MEmCom after a teacher",
    "codes": "Residual codes after a teacher",
    "biases": "Biases, without training",
}


def recipes() -> dict[str, dict[str, Recipe]]:
    """What is tried, by part and name; the default comes first."""

    def alone(layer: dict[str, Any] | None = None, **changed: Any) -> Recipe:
        return partial(Recipes.from_scratch, layer=layer, **changed)

    def after(layer: dict[str, Any] | None = None, **changed: Any) -> Recipe:
        return partial(Recipes.after_teacher, layer=layer, **changed)

    def codes(**changed: Any) -> Recipe:
        return partial(Recipes.after_teacher, method=ResidualQuantizedEmbedding, **changed)

    def of_any(layer: Callable[..., Recipe]) -> dict[str, Recipe]:
        return {
            "default": layer(),
            "with the dropout of the original": layer(dropout=True),
            "learning rate 1e-3": layer(learning_rate=1e-3),
            "learning rate 1e-2": layer(learning_rate=1e-2),
            "share of distillation 0.4": layer(distillation=0.4),
            "share of distillation 1": layer(distillation=1.0),
            "5000 steps": layer(steps=5000),
        }

    biases = {f"{step:g} of the way": partial(Recipes.with_biases, step=step) for step in (0, 1)}
    return {
        "alone": {
            "default": alone(),
            "multipliers at the learning rate of the rows": alone({"multiplier_learning_rate": 1}),
            "initial deviation 0.05": alone(_start(0.05)),
            "initial deviation 0.5": alone(_start(0.5)),
            "learning rate 1e-3": alone(learning_rate=1e-3),
            "learning rate 1.6e-2": alone(learning_rate=1.6e-2),
            "weight decay 0": alone(weight_decay=0.0),
            "weight decay 2": alone(weight_decay=2.0),
            "weight decay on the multipliers too": alone(decayed="multiplier"),
            "no rows of single items": alone(unshared=False),
            "order of frequency": alone(ordered=False),
        },
        "memcom": {
            **of_any(after),
            "share of distillation 0": after(distillation=0.0),
            "1250 steps instead of 2500": after(steps=1250),
            "weight decay 0.5": after(weight_decay=0.5),
            "multipliers at ten times the learning rate": after({"multiplier_learning_rate": 10}),
        },
        "codes": of_any(codes),
        "biases": {
            f"default: {STEP:g} of the way": partial(Recipes.with_biases, step=STEP),
            **biases,
        },
    }


def _start(deviation: float) -> dict[str, Any]:
    return {"embeddings_initializer": keras.initializers.RandomNormal(stddev=deviation)}


def report(rows: Sequence[Row], facts: Row) -> str:
    """The tables, in Markdown."""
    k = facts["k"]
    lines = [
        f"# Recipes: {facts['data']}",
        "",
        f"`python -m benchmarks.recipe`, seeds {facts['seeds']}. One thing at a time differs from "
        f"the default. From interactions alone: MEmCom with {RATIO_ALONE} times fewer parameters, "
        f"{facts['steps']:,} steps. After a teacher: what `compress` finds best of the layer, "
        f"before training, at {facts['bytes']:,} bytes ({facts['ratio']:g} times below the untied "
        f"float32 file), float tables. nDCG@{k} on validation is what decides; against the "
        "default, mean ± standard deviation over seeds.",
    ]
    for part, title in PARTS.items():
        of_part = [row for row in rows if row["part"] == part]
        names = list(dict.fromkeys(row["recipe"] for row in of_part))
        if not names:
            continue
        default = {row["seed"]: row["validation"] for row in of_part if row["recipe"] == names[0]}
        cells = []
        for name in names:
            found = [row for row in of_part if row["recipe"] == name]
            gains = [100 * (row["validation"] / default[row["seed"]] - 1) for row in found]
            cells.append(
                [
                    name,
                    f"{statistics.mean(row['validation'] for row in found):.4f}",
                    f"{statistics.mean(row['test'] for row in found):.4f}",
                    quality_report.spread(gains, 1, "+"),
                    f"{statistics.mean(row['seconds'] for row in found):.0f}",
                ]
            )
        head = ["", f"validation nDCG@{k}", f"test nDCG@{k}", "validation, %", "seconds"]
        lines += ["", f"## {title}", "", table(head, cells).rstrip()]
    lines += ["", ", ".join(f"{key} {value}" for key, value in facts["machine"].items())]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the tables."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", default=quality.MOVIELENS, help="as of benchmarks.quality")
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument("--ratio", type=float, default=40, help="untied float32 file over file")
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    options.add_argument("--json", type=Path, help="default: results/recipe_DATA.jsonl")
    options.add_argument("--work", type=Path, help="default: the folder `work` beside the JSON")
    options.add_argument("--steps", type=int, default=5_000, help="without a teacher")
    options.add_argument("--quick", action="store_true", help="too little training to learn much")
    parsed = options.parse_args(arguments)
    of_quality = ["--data", parsed.data, *(["--quick"] if parsed.quick else [])]
    chosen = quality.parser().parse_args(of_quality)
    data = load(parsed.data, chosen.history_length)
    path = parsed.json or quality.RESULTS / f"recipe_{data.name}.jsonl"
    case = Case(data, quality.settings_of(chosen, data), parsed.work or path.parent / "work")
    same = {"data": data.fingerprint, "settings": case.settings.fingerprint()}
    runs = Runs(path, {**same, "ratio": parsed.ratio, "steps": parsed.steps})
    limit, k = int(case.untied_bytes / parsed.ratio), case.settings.k
    tried = recipes()
    todo = [
        (seed, part, name, recipe)
        for seed in parsed.seeds
        for part in parsed.parts
        for name, recipe in tried[part].items()
    ]
    shared = {seed: Recipes(case, limit, parsed.steps, seed) for seed in parsed.seeds}
    for seed, part, name, recipe in track(todo, "recipes"):
        key = {"part": part, "recipe": name, "seed": seed}
        if runs.has(key):
            continue
        start = time.monotonic()
        model, split = recipe(shared[seed])
        seconds = round(time.monotonic() - start, 1)
        found = {
            name: evaluate_ranking(model, examples, k=k, batch_size=256)[f"ndcg@{k}"]
            for name, examples in (("validation", split.validation), ("test", split.test))
        }
        runs.keep({**key, **found, "seconds": seconds})
    facts = {
        "data": data.name,
        "seeds": ", ".join(map(str, parsed.seeds)),
        "steps": parsed.steps,
        "bytes": limit,
        "ratio": parsed.ratio,
        "k": k,
        "machine": describe(),
    }
    text = report(runs.rows, facts)
    write_atomically(path.with_suffix(".md"), text.encode())
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
