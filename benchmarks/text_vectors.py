"""Vectors of films from their titles and genres, of films that the distilled table does not have.

    python -m benchmarks.text_vectors [--seeds 0 1 2] [--quick] [--output FILE]

A ranker of the recipe is trained on MovieLens 100K. For each seed, a tenth of its films is held
out: `distill_text_vectors` learns from the table without their rows, the model is converted, and
its file gives their vectors. For every user, the films held out are ranked by products with the
query of the last films of the user that were not held out; those of them that the user has rated
count as found. A vector that is the same for all leaves the order to chance. Writes
results/text_vectors.md, with `--quick` only where `--output` says.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.datasets import Interactions, movielens_100k
from memcom_tf.evaluation import leave_last_out
from memcom_tf.features import Features, hashed_ngrams
from memcom_tf.layers import CompressedEmbedding, MEmComEmbedding
from memcom_tf.tasks.vectors import cosines
from memcom_tf.training import (
    TextVectorSettings,
    TrainedRanker,
    TrainingSettings,
    distill_text_vectors,
    train_ranker,
)

HISTORY_LENGTH = 50
WIDTH = 64
K = 10
_HELD_OUT = 0.1
_ROWS_OF_MEMCOM = 2048
_ORDERS_OF_TIES = 20
_COLUMNS = ("bytes", "cosine", "AUC", f"nDCG@{K}")


def full(num_buckets: int) -> tuple[Features, None]:
    """N-grams with a row a bucket."""
    return hashed_ngrams(num_buckets=num_buckets), None


def memcom() -> tuple[Features, CompressedEmbedding]:
    """N-grams whose buckets share rows."""
    features = hashed_ngrams()
    table = MEmComEmbedding(
        features.tables["text"],
        WIDTH,
        num_buckets=_ROWS_OF_MEMCOM,
        name="ngrams",
        combiner="mean",
        mask_zero=True,
    )
    return features, table


MODELS: Mapping[str, Callable[[], tuple[Features, CompressedEmbedding | None]]] = {
    "text vectors, 16,384 buckets": lambda: full(2**14),
    "text vectors, 4,096 buckets": lambda: full(2**12),
    "text vectors, 16,384 buckets in 2,048 rows of MEmCom": memcom,
}


@dataclass(frozen=True)
class Films:
    """What is known of the films of a trained ranker, in the order of its vocabulary.

    Attributes:
        texts: Titles and genres.
        vectors: Those that the ranker scores by.
        counts: How often each was rated in training.
        histories: Ids of the films of each user, in order of time, from all interactions.
        first_id: That of the first film.
    """

    texts: list[str]
    vectors: np.ndarray
    counts: np.ndarray
    histories: list[np.ndarray]
    first_id: int


def films_of(log: Interactions, trained: TrainedRanker) -> Films:
    """The films of a ranker, and who rated them."""
    vocabulary = trained.model.vocabulary
    assert vocabulary is not None and vocabulary.counts is not None
    titles, genres = log.details["title"], log.details["genres"]
    order = np.lexsort((log.time, log.user))
    ids = vocabulary.ids(log.item[order])
    ends = np.flatnonzero(np.diff(log.user[order])) + 1
    return Films(
        [f"{titles[film]} {genres[film].replace('|', ' ')}" for film in vocabulary],
        np.asarray(trained.model.scored_embedding(vocabulary.ids(list(vocabulary)))),
        np.asarray(vocabulary.counts, np.float64),
        np.split(ids, ends),
        vocabulary.first_id,
    )


def queries_and_found(
    films: Films, held_out: np.ndarray, query: Callable[[np.ndarray], Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Queries `[users, d]` without the films held out, and which of these each user rated."""
    histories = np.zeros((len(films.histories), HISTORY_LENGTH), np.int32)
    found = np.zeros((len(films.histories), int(held_out.sum())), bool)
    place = np.cumsum(held_out) - 1
    for user, ids in enumerate(films.histories):
        rows = ids - films.first_id
        known = ids[~held_out[rows]][-HISTORY_LENGTH:]
        histories[user, : len(known)] = known
        found[user, place[rows[held_out[rows]]]] = True
    judged = found.any(axis=1) & ~found.all(axis=1)
    return np.asarray(query(histories[judged])), found[judged]


def quality(scores: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """AUC, and nDCG at `K`, means over users of scores `[users, films]`.

    Of equal scores each order is as likely: those of some orders are averaged.
    """
    areas, gains = [], []
    rng = np.random.default_rng(0)
    discounts = 1 / np.log2(np.arange(2, K + 2))
    for of_user, wanted in zip(scores, found, strict=True):
        above = of_user[wanted][:, None] - of_user[~wanted]
        areas.append(((above > 0) + 0.5 * (above == 0)).mean())
        best = discounts[: int(wanted.sum())].sum()
        tied = len(np.unique(of_user)) < len(of_user)
        for _ in range(_ORDERS_OF_TIES if tied else 1):
            ranked = np.lexsort((rng.random(len(of_user)), -of_user))[:K]
            weight = 1 / (_ORDERS_OF_TIES if tied else 1)
            gains.append(weight * (wanted[ranked] * discounts[: len(ranked)]).sum() / best)
    return {"AUC": float(np.mean(areas)), f"nDCG@{K}": float(np.sum(gains) / len(scores))}


def run(
    films: Films, query: Callable[[np.ndarray], Any], seed: int, settings: TextVectorSettings
) -> dict[str, dict[str, float]]:
    """What every way gives the films held out by a seed, by its name."""
    count = len(films.texts)
    held_out = np.random.default_rng(seed).permutation(count) < round(_HELD_OUT * count)
    queries, found = queries_and_found(films, held_out, query)
    wanted = films.vectors[held_out]

    def of_vectors(vectors: np.ndarray) -> dict[str, float]:
        """Of one vector for all, the scores are equal to the last bit."""
        near = {"cosine": float(cosines(np.broadcast_to(vectors, wanted.shape), wanted).mean())}
        return {**near, **quality(np.broadcast_to(queries @ vectors.T, found.shape), found)}

    rows = {}
    for name, make in MODELS.items():
        features, table = make()
        model = distill_text_vectors(
            [text for text, out in zip(films.texts, held_out, strict=True) if not out],
            films.vectors[~held_out],
            frequencies=films.counts[~held_out],
            features=features,
            width=WIDTH,
            embedding=table,
            settings=settings,
        )
        conversion = convert(model)
        assert conversion.verification is not None and conversion.verification.passed
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "films.tflite"
            conversion.save(path)
            texts = [text for text, out in zip(films.texts, held_out, strict=True) if out]
            vectors = CompressedModelFile(path).text_vectors(texts)
        rows[name] = {"bytes": float(len(conversion.content)), **of_vectors(vectors)}
    mean = films.vectors[~held_out].mean(axis=0)
    rows["the mean vector of the others"] = of_vectors(mean[None])
    popular = np.tile(films.counts[held_out], (len(queries), 1))
    rows["how often a film was rated, which a new one was not"] = quality(popular, found)
    rows["the trained vectors"] = of_vectors(wanted)
    return rows


def report(runs: list[dict[str, dict[str, float]]]) -> str:
    """A Markdown table of means and standard deviations over seeds."""
    lines = [f"| by | {' | '.join(_COLUMNS)} |", "|---|" + "---:|" * len(_COLUMNS)]
    for name in runs[0]:
        cells = [_cell(column, [found[name] for found in runs]) for column in _COLUMNS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(column: str, rows: list[dict[str, float]]) -> str:
    if column not in rows[0]:
        return ""
    values = [row[column] for row in rows]
    if column == "bytes":
        return f"{statistics.mean(values):,.0f}"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


def main() -> None:
    """Trains the ranker, holds films out by every seed, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="train for one epoch, to try it")
    parser.add_argument("--output", type=Path, help="default: results/text_vectors.md")
    options = parser.parse_args()
    epochs = {"epochs": 1} if options.quick else {}
    log = movielens_100k()
    split = leave_last_out(log, history_length=HISTORY_LENGTH)
    trained = train_ranker(
        split, width=WIDTH, settings=TrainingSettings(**{"epochs": 10, **epochs})
    )
    films = films_of(log, trained)
    runs = []
    for seed in options.seeds:
        settings = TextVectorSettings(seed=seed, **epochs)
        runs.append(run(films, trained.model.query, seed, settings))
        print(f"seed {seed}", runs[-1], flush=True)
    found = report(runs)
    print(found)
    path = options.output or (None if options.quick else RESULTS / "text_vectors.md")
    if path is None:
        return
    machine = ", ".join(f"{key} {value}" for key, value in describe().items())
    seeds = ", ".join(map(str, options.seeds))
    path.write_text(
        "# MovieLens 100K: films that the table does not have, by their titles and genres\n\n"
        f"`python -m benchmarks.text_vectors`. Of {len(films.texts):,} films a tenth is held out "
        "of the table that is distilled, and ranked for every user who rated some of them. Seeds "
        f"{seeds} of what is held out and of the distillation, one ranker: mean ± standard "
        "deviation. Cosine to the trained vector; vectors are those of the exported file, whose "
        f"bytes are all of it.\n\n{found}\n\n{machine}\n"
    )


if __name__ == "__main__":
    main()
