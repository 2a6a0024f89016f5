"""Training of a model that gives items the vectors of a trained table, from their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.cluster import require_alone
from memcom_tf.errors import invalid
from memcom_tf.features import Features, hashed_ngrams
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.models.text_vectors import TextVectors
from memcom_tf.optimizers import LazyAdam
from memcom_tf.seeding import seeded
from memcom_tf.tables import check_positive
from memcom_tf.tasks.vectors import cosines
from memcom_tf.training.best_weights import BestWeights

_LOSS = "loss"
_PREDICTED_AT_A_TIME = 1024
_LEAST_NORM = 1e-12


@dataclass(frozen=True)
class TextVectorSettings:
    """How to train the vectors of texts.

    Attributes:
        epochs: Epochs at most.
        patience: Epochs without improvement after which training ends.
        batch_size: Items of a step.
        learning_rate: Of `memcom_tf.optimizers.LazyAdam`.
        cosine: Share of the cosine in the loss; the rest is the squared error.
        damping: Power of an item's count that is its weight: 0 weighs all alike, 1 by their counts.
        validation: Share of the items that are held out to choose the best weights.
        seed: Seed of everything.

    Raises:
        ValueError: If a number is out of range.
    """

    epochs: int = 60
    patience: int = 10
    batch_size: int = 64
    learning_rate: float = 3e-3
    cosine: float = 0.5
    damping: float = 0.5
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(epochs=self.epochs, patience=self.patience, batch_size=self.batch_size)
        if not self.learning_rate > 0:
            raise invalid("`learning_rate` must be positive.", learning_rate=self.learning_rate)
        for name in ("cosine", "damping"):
            if not 0 <= getattr(self, name) <= 1:
                raise invalid(f"`{name}` must be in [0, 1].", **{name: getattr(self, name)})
        if not 0 < self.validation < 1:
            raise invalid("`validation` must be in (0, 1).", validation=self.validation)


def distill_text_vectors(
    texts: Sequence[str | None],
    table: Any,
    *,
    frequencies: Any = None,
    features: Features | None = None,
    width: int = 64,
    hidden_units: int | None = None,
    embedding: CompressedEmbedding | None = None,
    settings: TextVectorSettings | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> TextVectors:
    """Trains a model to give items the vectors of a trained table, from their texts alone.

    The loss of an item with the vector `v` and the count `n`, where the model gives `y`, is

        n^damping ((1 - cosine) |y - v|^2 / s + cosine (1 - y . v / (|y| |v|)))

    where `s` is the mean of `|v|^2` over the items. It starts from their mean vector, and keeps the
    weights with the smallest loss on items held out at random, those of one text together. These
    are means over the last epochs.

    Source: Fusco and Antognini, Extracting text representations for terms and phrases in technical
    domains, ACL 2023.

    Args:
        texts: A text of each item, such as its title.
        table: The vectors `[n, d]` of the items, in the same order. Of a ranker these are
            `scored_embedding` of their ids.
        frequencies: How often each item occurred `[n]`: vectors of frequent ones are trained
            better, and count more. None weighs all alike.
        features: The field of texts, of `memcom_tf.features.hashed_ngrams`; None takes the default.
        width: Width of the vectors of n-grams, where `embedding` does not say.
        hidden_units: As of `memcom_tf.models.TextVectors`.
        embedding: As of `memcom_tf.models.TextVectors`; such as `MEmComEmbedding` for fewer bytes.
        settings: How to train; None takes the defaults.
        report: Called with a line for every epoch.

    Returns:
        The model.

    Raises:
        ValueError: If lengths or shapes do not fit, a number is out of range or not finite, all
            vectors are zeros, or there are not two different texts.

    Example:
        >>> titles = [f"{kind} no {n}" for n in range(50) for kind in ("tea", "milk")]
        >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0]] * 50)
        >>> model = distill_text_vectors(titles, vectors, width=8)
        >>> tea, milk = model.predict(model.features.encode({"text": ["Tea!", "milk"]}), verbose=0)
        >>> bool(tea[0] > tea[1]), bool(milk[0] < milk[1])
        (True, True)
    """
    require_alone("Distillation of text vectors")
    settings = settings or TextVectorSettings()
    known = ["" if text is None else str(text) for text in texts]
    vectors = _checked_table(table, len(known))
    weights = _weights(frequencies, len(known), settings.damping)
    held_out = _held_out(known, settings)
    if not (vectors[~held_out].any() and vectors[held_out].any()):
        raise invalid(
            "The vectors must not all be zeros, of the items to train on and of those held out.",
            "Pass a trained table.",
            items=len(known),
        )
    with seeded(settings.seed):
        model = TextVectors(
            features or hashed_ngrams(),
            vectors.shape[1],
            width=width,
            hidden_units=hidden_units,
            embedding=embedding,
        )
        model.build_once()
        mean = np.average(vectors[~held_out], axis=0, weights=weights[~held_out])
        model.dense_layers[-1].bias.assign(mean)
        _train(model, known, vectors, weights, held_out, settings, report)
    return model


def _train(
    model: TextVectors,
    texts: list[str],
    vectors: np.ndarray,
    weights: np.ndarray,
    held_out: np.ndarray,
    settings: TextVectorSettings,
    report: Callable[[str], object],
) -> None:
    (name,) = model.features.names
    ids = model.features.encode({name: texts})["ids"]
    loss = _Loss(settings.cosine, float((vectors[~held_out] ** 2).sum(axis=1).mean()))

    def metrics() -> dict[str, float]:
        found = model.predict({"ids": ids[held_out]}, batch_size=_PREDICTED_AT_A_TIME, verbose=0)
        wanted, of = vectors[held_out], weights[held_out]
        losses = np.asarray(loss(wanted, found), np.float64)
        return {
            _LOSS: float(np.average(losses, weights=of)),
            "cosine": float(np.average(cosines(found, wanted), weights=of)),
        }

    best = BestWeights(model, metrics, report, by=_LOSS)
    best.evaluate(0)
    model.compile(LazyAdam(settings.learning_rate), loss)
    rng = np.random.default_rng(settings.seed)
    known = np.flatnonzero(~held_out)
    for epoch in range(settings.epochs):
        rows = rng.permutation(known)
        model.fit(
            {"ids": ids[rows]},
            vectors[rows],
            sample_weight=weights[rows],
            batch_size=settings.batch_size,
            shuffle=False,
            verbose=0,
        )
        best.evaluate(epoch + 1)
        if best.waited >= settings.patience:
            break
    best.restore()


class _Loss:
    """The loss of each item, without its weight."""

    def __init__(self, cosine: float, scale: float) -> None:
        self._cosine, self._scale = cosine, scale
        self.__name__ = "distance"

    def __call__(self, wanted: Any, found: Any) -> Any:
        wanted, found = tf.cast(wanted, tf.float32), tf.cast(found, tf.float32)
        error = tf.reduce_sum((found - wanted) ** 2, axis=-1) / self._scale
        products = tf.reduce_sum(_normed(found) * _normed(wanted), axis=-1)
        return (1 - self._cosine) * error + self._cosine * (1 - products)


def _normed(vectors: Any) -> Any:
    """Of norm 1; of zeros none, and no gradient that is no number."""
    return tf.math.l2_normalize(vectors, axis=-1, epsilon=_LEAST_NORM)


def _checked_table(table: Any, count: int) -> np.ndarray:
    vectors = np.asarray(table, np.float32)
    if vectors.ndim != 2 or len(vectors) != count or not vectors.size:
        raise invalid(
            "There must be a vector of the table for each text.",
            "Pass `[n, d]` vectors in the order of the texts.",
            texts=count,
            table=vectors.shape,
        )
    if not np.isfinite(vectors).all():
        raise invalid(
            "The vectors of the table must be finite.",
            "Leave the others out.",
            not_finite=int((~np.isfinite(vectors).all(axis=1)).sum()),
        )
    return vectors


def _weights(frequencies: Any, count: int, damping: float) -> np.ndarray:
    """Weights of the items, 1 in the mean."""
    if frequencies is None:
        return np.ones(count, np.float32)
    counts = np.asarray(frequencies, np.float64)
    if counts.shape != (count,) or not (np.isfinite(counts) & (counts >= 0)).all():
        raise invalid(
            "`frequencies` must be a finite count for each text.",
            "Count an item that never occurred as 0.",
            texts=count,
            frequencies=counts.shape,
        )
    # One that never occurred counts a little.
    weights = np.maximum(counts, 1.0) ** damping
    return (weights / weights.mean()).astype(np.float32)


def _held_out(texts: list[str], settings: TextVectorSettings) -> np.ndarray:
    """Which items validate: those of a share of the texts, one at least and not all."""
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    if len(numbers) < 2:
        raise invalid("There must be two different texts or more.", "", texts=len(numbers))
    count = int(np.clip(round(settings.validation * len(numbers)), 1, len(numbers) - 1))
    rng = np.random.default_rng(settings.seed)
    chosen = rng.permutation(len(numbers)) < count
    return chosen[[numbers[text] for text in texts]]
