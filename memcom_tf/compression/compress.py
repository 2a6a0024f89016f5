"""Compression of a trained ranker to a number of bytes, with the method that loses least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from memcom_tf.compression.candidates import Candidate, candidates_for
from memcom_tf.compression.students import queries_of, rebuilt, uncompressed, vectors_of
from memcom_tf.datasets import Interactions
from memcom_tf.errors import invalid, message
from memcom_tf.evaluation import Split, evaluate_ranking, leave_last_out
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.ordering import similarity_order
from memcom_tf.training import TrainingSettings, train
from memcom_tf.training.train import some_of
from memcom_tf.vocabulary import Vocabulary

SETTINGS = TrainingSettings(
    epochs=16, learning_rate=2e-3, weight_decay=0.0, distillation=0.7, patience=4
)
_TRIAL_EPOCHS = 4
_NUM_NEGATIVES = 3000
_LARGE_CATALOGUE = 8192
"""From so many items on a step compares with drawn ones."""


@dataclass(frozen=True)
class Trial:
    """What became of a candidate.

    Attributes:
        candidate: The method and its size.
        file_bytes: Bytes of the exported file, without a vocabulary.
        ndcg_before: nDCG on validation in closed form, without training.
        ndcg_after: nDCG on validation after the training that it got; None without any.
        num_trained: Epochs that it was trained.
    """

    candidate: Candidate
    file_bytes: int
    ndcg_before: float
    ndcg_after: float | None = None
    num_trained: int = 0


@dataclass(frozen=True)
class Compression:
    """A compressed ranker, and how it came about.

    Attributes:
        model: The ranker, with the vocabulary whose order its tables need.
        split: The interactions under the ids of that vocabulary.
        trials: The candidates, in the order in which they were tried.
        chosen: The candidate that the model is made of.
        k: Length of the ranked list that was judged.
        ndcg_of_original: nDCG@k of the original on validation.
        ndcg: nDCG@k of the model on validation, float tables.
        original_bytes: Bytes of the original as a float32 file, without a vocabulary.
        file_bytes: Bytes of the model's file with integer tables, without a vocabulary.
    """

    model: NextItemRanker
    split: Split
    trials: Sequence[Trial]
    chosen: Candidate
    k: int
    ndcg_of_original: float
    ndcg: float
    original_bytes: int
    file_bytes: int

    @property
    def ratio(self) -> float:
        """How many times smaller the file is."""
        return self.original_bytes / self.file_bytes

    @property
    def loss(self) -> float:
        """Relative loss of nDCG on validation; negative where the model is better."""
        return 1 - self.ndcg / self.ndcg_of_original

    def __str__(self) -> str:
        return (
            f"{self.chosen}: {self.file_bytes:,} bytes, {self.ratio:.1f}x below "
            f"{self.original_bytes:,}; nDCG@{self.k} on validation {self.ndcg:.4f}, "
            f"{100 * self.loss:+.1f} % lost of {self.ndcg_of_original:.4f}"
        )


def compress(
    model: NextItemRanker,
    interactions: Interactions | Split,
    *,
    max_bytes: int | None = None,
    ratio: float | None = None,
    settings: TrainingSettings = SETTINGS,
    candidates: Sequence[Candidate] | None = None,
    finalists: int = 2,
    report: Callable[[str], None] = lambda line: None,
) -> Compression:
    """Compresses a trained ranker so that its file fits a number of bytes.

    1. Every candidate method takes the size that the bytes allow. Where its rows are shared by
       `id % num_buckets`, the items are numbered by the similarity of their trained vectors.
    2. Its tables are set in closed form from the trained ones, weighted by how often items occur,
       and its nDCG on validation is measured.
    3. The best `finalists` learn from the trained ranker's scores and the interactions for a few
       epochs, and the best of these goes on. Weights before training are a candidate too, so that
       training never makes a model worse on validation.

    Args:
        model: A trained ranker with its vocabulary.
        interactions: What it was trained on: `Interactions`, which are split by `leave_last_out`,
            or a `Split` with the model's vocabulary. Only training and validation are looked at.
        max_bytes: Bytes of the exported file without its vocabulary, at most.
        ratio: The same as a share of the model's own float32 file: one of both must be given.
        settings: How to train.
        candidates: Methods to try, of any size; None takes those of `candidates_for`.
        finalists: How many candidates are trained before one is chosen.
        report: Called with a line for each thing done.

    Returns:
        The compressed ranker, the candidates and their measures.

    Raises:
        ValueError: If the model has no vocabulary, the interactions are not its own, both or none
            of `max_bytes` and `ratio` is given, or no method fits.
        ImportError: If what clusters (`memcom_tf[order]`) or converts (`memcom_tf[convert]`) is
            not installed.
    """
    split, limit, original_bytes = _checked(model, interactions, max_bytes, ratio)
    compressing = _Compressing(model, split, settings, report)
    tried = compressing.trials(limit, candidates)
    if not tried:
        raise invalid(
            "`max_bytes` must leave room for the smallest method.",
            f"The ranker without its tables takes about {compressing.overhead:,} bytes.",
            max_bytes=limit,
        )
    tried.sort(key=lambda trial: -trial.ndcg_before)
    trained = []
    for trial in tried[: max(1, finalists)] if settings.epochs else []:
        epochs = min(_TRIAL_EPOCHS, settings.epochs) if finalists > 1 else settings.epochs
        student, _, after = compressing.trained(trial.candidate, epochs)
        trained.append((after, replace(trial, ndcg_after=after, num_trained=epochs), student))
        report(f"{trial.candidate}: nDCG {after:.4f} after {epochs} epochs")
    trained.sort(key=lambda entry: -entry[0])
    best = trained[0][1] if trained else tried[0]
    if finalists > 1 and settings.epochs > _TRIAL_EPOCHS:
        student, student_split, ndcg = compressing.trained(best.candidate, settings.epochs)
        report(f"{best.candidate}: nDCG {ndcg:.4f} after {settings.epochs} epochs")
    elif trained:
        ndcg, _, student = trained[0]
        student_split = compressing.splits(student.vocabulary)
    else:
        student, student_split = compressing.student(best.candidate)
        ndcg = best.ndcg_before
    kept = {id(trial.candidate): trial for trial in tried}
    kept |= {id(trial.candidate): trial for _, trial, _ in trained}
    return Compression(
        student,
        student_split,
        tuple(kept.values()),
        best.candidate,
        settings.k,
        compressing.ndcg_of_teacher,
        ndcg,
        original_bytes,
        graph_bytes(student),
    )


def graph_bytes(ranker: NextItemRanker, weights: str = "int8") -> int:
    """Bytes of a ranker's file without its vocabulary."""
    from memcom_tf.converters import convert

    return int(convert(ranker, weights=weights, verify=False).report["graph_bytes"])


def _checked(
    model: NextItemRanker,
    interactions: Interactions | Split,
    max_bytes: int | None,
    ratio: float | None,
) -> tuple[Split, int, int]:
    if not isinstance(model, NextItemRanker):
        raise TypeError(
            message("`model` must be a NextItemRanker.", "", received=type(model).__name__)
        )
    if model.vocabulary is None:
        raise invalid("The model must have a vocabulary.", "Pass it when the ranker is made.")
    if (max_bytes is None) == (ratio is None):
        raise invalid(
            "Either `max_bytes` or `ratio` must be given.", "", max_bytes=max_bytes, ratio=ratio
        )
    if isinstance(interactions, Split):
        split = interactions
        if split.vocabulary.fingerprint != model.vocabulary.fingerprint:
            raise invalid(
                "The split must have the model's vocabulary.",
                "Split with `vocabulary=model.vocabulary`.",
                split=split.vocabulary,
                model=model.vocabulary,
            )
    else:
        split = leave_last_out(
            interactions, history_length=model.history_length, vocabulary=model.vocabulary
        )
    model.build_once()
    values = sum(int(np.prod(weight.shape)) for weight in model.weights)
    original_bytes = 4 * values + _graph_overhead(model)
    limit = max_bytes if max_bytes is not None else int(original_bytes / (ratio or 1))
    return split, limit, original_bytes


def _graph_overhead(model: NextItemRanker) -> int:
    """Bytes of the graph alone: those of a ranker of the same shape with hardly any items."""
    from memcom_tf.layers import FullEmbedding

    config = model.get_config()
    rows = 2 * model.history_length + 40
    small = {"item_embedding": FullEmbedding(rows, model.item_embedding.output_dim)}
    if model.output_embedding is not None:
        small["output_embedding"] = FullEmbedding(rows, model.item_embedding.output_dim)
    toy = NextItemRanker(**{**config, **small})
    toy.build_once()
    values = sum(int(np.prod(weight.shape)) for weight in toy.weights)
    return graph_bytes(toy, "float32") - 4 * values


class _Compressing:
    """The teacher and the interactions in every order that a candidate wants."""

    def __init__(
        self,
        model: NextItemRanker,
        split: Split,
        settings: TrainingSettings,
        report: Callable[[str], None],
    ) -> None:
        assert model.vocabulary is not None
        self.model, self.split, self.settings, self.report = model, split, settings, report
        self._orders: dict[int | None, Vocabulary] = {None: model.vocabulary}
        self._splits: dict[str, Split] = {model.vocabulary.fingerprint: split}
        self._start: dict[int, NextItemRanker] = {}
        queries = queries_of(model, split)
        moment = queries.T @ queries
        width = len(moment)
        # Half of the error as the scores see it, half as the vectors of the history do.
        self.metric = moment / np.trace(moment) * width / 2 + np.eye(width) / 2
        self.ndcg_of_teacher = self._ndcg(model, split)
        self.overhead = 0

    def vocabulary(self, num_buckets: int | None) -> Vocabulary:
        """The vocabulary that a candidate of so many buckets wants."""
        if num_buckets not in self._orders:
            assert num_buckets is not None
            vocabulary = self._orders[None]
            vectors = vectors_of(self.model.scored_embedding)[vocabulary.ids(list(vocabulary))]
            order = similarity_order(
                vectors, num_buckets, counts=vocabulary.counts, first_id=vocabulary.first_id
            )
            self._orders[num_buckets] = vocabulary.reordered(order)
        return self._orders[num_buckets]

    def splits(self, vocabulary: Vocabulary | None) -> Split:
        """The interactions under the ids of a vocabulary."""
        assert vocabulary is not None
        if vocabulary.fingerprint not in self._splits:
            self._splits[vocabulary.fingerprint] = self.split.renumbered(vocabulary)
        return self._splits[vocabulary.fingerprint]

    def student(self, candidate: Candidate) -> tuple[NextItemRanker, Split]:
        """The ranker of a candidate, in closed form, and its interactions."""
        vocabulary = self.vocabulary(candidate.num_buckets)
        if id(candidate) not in self._start:
            teacher = uncompressed(self.model, vocabulary)
            counts = np.zeros(vocabulary.input_dim)
            if vocabulary.counts is not None:
                counts[vocabulary.ids(list(vocabulary))] = vocabulary.counts
            frequencies = np.sqrt(counts + 1.0)
            frequencies[0] = 0.0

            def compressed(layer: CompressedEmbedding) -> CompressedEmbedding:
                if layer.output_dim == 1:
                    return layer
                metric = {"metric": self.metric} if candidate.method.takes_metric else {}
                return candidate.method.from_table(
                    vectors_of(layer), frequencies=frequencies, **metric, **candidate.arguments
                )

            self._start[id(candidate)] = rebuilt(teacher, vocabulary, compressed)
        start = self._start[id(candidate)]
        copy = NextItemRanker.from_config(start.get_config())
        copy.vocabulary = vocabulary
        copy.build_once()
        copy.set_weights(start.get_weights())
        return copy, self.splits(vocabulary)

    def trials(self, limit: int, candidates: Sequence[Candidate] | None) -> list[Trial]:
        """Every candidate that fits, in closed form."""
        width, input_dim = self.model.item_embedding.output_dim, self.model.item_embedding.input_dim
        tables = 1 if self.model.output_embedding is None else 2
        rest = 0 if self.model.item_bias_embedding is None else 2 * input_dim
        self.overhead = _graph_overhead(self.model) + rest
        found: list[Trial] = []
        room = limit - self.overhead
        for _ in range(2):  # the second time with what the first has shown of the graph's size
            wanted = candidates
            if wanted is None:
                wanted = candidates_for(input_dim, width, max(0, room) // tables)
            found = []
            over = 0
            for candidate in wanted:
                student, split = self.student(candidate)
                size = graph_bytes(student)
                over = max(over, size - limit)
                if size > limit and candidates is None:
                    continue
                found.append(Trial(candidate, size, self._ndcg(student, split)))
                self.report(
                    f"{candidate}: {size:,} bytes, nDCG {found[-1].ndcg_before:.4f} before training"
                )
            if over <= 0 or candidates is not None:
                break
            room -= over
            self.overhead += over
        return found

    def trained(self, candidate: Candidate, epochs: int) -> tuple[NextItemRanker, Split, float]:
        """A candidate's ranker after training, its interactions, and its nDCG."""
        student, split = self.student(candidate)
        vocabulary = student.vocabulary
        assert vocabulary is not None
        teacher = uncompressed(self.model, vocabulary)
        num_negatives = student.num_negatives
        if num_negatives is None and vocabulary.input_dim > _LARGE_CATALOGUE:
            student.num_negatives = _NUM_NEGATIVES
        record = train(student, split, replace(self.settings, epochs=epochs), teacher=teacher)
        student.num_negatives = num_negatives
        return student, split, record["ndcg"][record["epoch"]]

    def _ndcg(self, ranker: NextItemRanker, split: Split) -> float:
        k = self.settings.k
        examples = some_of(split.validation, self.settings)
        found: dict[str, Any] = evaluate_ranking(ranker.predict_on_batch, examples, k=k)
        return float(found[f"ndcg@{k}"])
