"""Candidates of a compression: made in closed form, measured, trained."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.approximation.closed_forms import Whitening
from memcom_tf.compression.behaviour import Behaviour, OriginalLists
from memcom_tf.compression.biases import correct_biases
from memcom_tf.compression.candidates import Candidate, Family, families, worth_trying
from memcom_tf.compression.file_size import fill_at_random, graph_bytes, graph_overhead
from memcom_tf.compression.result import Trial
from memcom_tf.compression.search import largest_file
from memcom_tf.compression.students import check_renumbered, queries_of, uncompressed, vectors_of
from memcom_tf.compression.time_budget import SEARCHING, TimeBudget
from memcom_tf.evaluation import Split
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.layers.codebooks.codebook import CodebookEmbedding
from memcom_tf.models.catalogue_ranker import CatalogueRanker
from memcom_tf.models.ranks import evaluate_ranker
from memcom_tf.models.rebuilding import copy_of, ranker_with, rebuilt_ranker
from memcom_tf.ordering import similarity_order
from memcom_tf.progress import counted, doing
from memcom_tf.tables import RowSharing
from memcom_tf.training import TrainingSettings, train
from memcom_tf.training.recipe import LARGE_CATALOGUE, NUM_NEGATIVES
from memcom_tf.training.streaming import batches_of
from memcom_tf.training.validation import most_users, num_users, validation_of
from memcom_tf.vocabulary import Vocabulary

BIASES = {"item_bias": True, "item_bias_storage": "int8_per_table"}
"""A byte for each item: popularity is what compressed vectors lose first, but of a small file
rows are the better part (`Candidate.item_bias`)."""
_MOST_FOR_FIRST_LIST = 0.03
"""Share of the nDCG on validation that the list of a new user may cost."""
_SPREAD_SHARE = 0.25
_SPARE = 0.01
"""Share of the bytes that may be left over."""


@dataclass(frozen=True)
class Final:
    """A candidate, its ranker with its interactions, and how that does on validation."""

    trial: Trial
    model: CatalogueRanker
    split: Split
    ndcg: float
    behaviour: Behaviour


class Trials:
    """The teacher and the interactions in every order that a candidate wants."""

    def __init__(
        self,
        model: CatalogueRanker,
        split: Split,
        settings: TrainingSettings,
        report: Callable[[str], object],
        checkpoints: str | os.PathLike[str] | None = None,
        budget: TimeBudget | None = None,
    ) -> None:
        self._budget = budget or TimeBudget(None)
        assert model.vocabulary is not None
        self._checkpoints = None if checkpoints is None else Path(checkpoints)
        if self._checkpoints is not None:
            self._checkpoints.mkdir(exist_ok=True)
        self.model, self.split, self.settings, self.report = model, split, settings, report
        self._orders: dict[RowSharing, Vocabulary] = {}
        self._splits: dict[str, Split] = {model.vocabulary.fingerprint: split}
        self._start: dict[Candidate, CatalogueRanker] = {}
        self._sizes: dict[Candidate, int] = {}
        self._overheads: dict[Any, int] = {}
        queries = queries_of(model, split)
        self.mean_query = queries.mean(axis=0)
        centred = queries - self.mean_query
        width = queries.shape[1]
        spread = centred.T @ centred + np.finfo(np.float32).tiny * np.eye(width)
        # A part of the error as it tells scores of users apart, the rest as histories see it. What
        # it does to the scores of all users alike is put right by biases.
        spread *= width / np.trace(spread)
        self.metric = _SPREAD_SHARE * spread + (1 - _SPREAD_SHARE) * np.eye(width)
        self._lists: OriginalLists | None = None
        judges, users = most_users(split, settings), num_users(split)
        if users > judges:
            report(f"validation: {judges:,} of {users:,} users")
        with doing("measuring the original"):
            self.ndcg_of_teacher = self._ndcg(model, split)
        self.overhead = 0
        self.epochs = settings.epochs_of(batches_of(split, batch_size=settings.batch_size))

    def vocabulary(self, candidate: Candidate) -> Vocabulary:
        """The vocabulary that a candidate wants."""
        vocabulary = self.model.vocabulary
        assert vocabulary is not None
        sharing = candidate.sharing
        if sharing is None or sharing.num_rows >= len(vocabulary):
            return vocabulary  # every item has a row of its own
        if sharing not in self._orders:
            vectors = vectors_of(self.model.scored_embedding)[vocabulary.ids(list(vocabulary))]
            vectors = Whitening(self.metric).into(vectors)
            counts = np.zeros(len(vectors)) if vocabulary.counts is None else vocabulary.counts
            order = similarity_order(
                vectors,
                sharing.num_buckets,
                num_dedicated=sharing.num_dedicated,
                counts=counts,
                # What is lost where others that share the row tell nothing of the item.
                importance=(counts + 1.0) * np.einsum("nd,nd->n", vectors, vectors),
                first_id=vocabulary.first_id,
            )
            self._orders[sharing] = vocabulary.reordered(order)
        return self._orders[sharing]

    def splits(self, vocabulary: Vocabulary | None) -> Split:
        """The interactions under the ids of a vocabulary."""
        assert vocabulary is not None
        if vocabulary.fingerprint not in self._splits:
            self._splits[vocabulary.fingerprint] = self.split.renumbered(vocabulary)
        return self._splits[vocabulary.fingerprint]

    def student(self, candidate: Candidate) -> tuple[CatalogueRanker, Split]:
        """The ranker of a candidate, in closed form, and its interactions."""
        vocabulary = self.vocabulary(candidate)
        if candidate not in self._start:
            teacher = uncompressed(self.model, vocabulary)
            if vocabulary is not self.model.vocabulary:
                check_renumbered(self.model, self.split, teacher, self.splits(vocabulary))
            counts = np.zeros(vocabulary.input_dim)
            if vocabulary.counts is not None:
                counts[vocabulary.ids(list(vocabulary))] = vocabulary.counts
            frequencies = np.sqrt(counts + 1.0)
            frequencies[0] = frequencies[1:].mean() if self.model.reads_padding else 0.0
            width = self.model.item_embedding.output_dim

            def compressed(layer: CompressedEmbedding) -> CompressedEmbedding:
                if layer.output_dim == 1:
                    return layer
                takes_metric = candidate.method.takes_metric and layer.output_dim == width
                metric = {"metric": self.metric} if takes_metric else {}
                return candidate.method.from_table(
                    vectors_of(layer), frequencies=frequencies, **metric, **candidate.arguments
                )

            student = rebuilt_ranker(teacher, vocabulary, compressed, **_changed(candidate))
            if candidate.item_bias:
                correct_biases(student, teacher, self.mean_query, self.splits(vocabulary))
            self._start[candidate] = student
        copy = rebuilt_ranker(self._start[candidate], vocabulary, copy_of)
        return copy, self.splits(vocabulary)

    def in_closed_form(self, limit: int, candidates: Sequence[Candidate] | None) -> list[Trial]:
        """Every candidate that fits, in closed form."""
        found = []
        wanted: Iterable[Candidate]
        if candidates is None:
            wanted = self._fitting(limit)
        else:
            wanted = counted(candidates, "candidate", 0.0, SEARCHING)
        for candidate in self._budget.searched(wanted):
            student, split = self.student(candidate)
            # Of its size it is known already; its values change that a little (`too_large`).
            size = self._sizes[candidate] if candidates is None else graph_bytes(student)
            trial = Trial(candidate, size, self._ndcg(student, split))
            found.append(trial)
            self.report(
                f"{candidate}: {trial.file_bytes:,} bytes, "
                f"nDCG {trial.ndcg_before:.4f} before training"
            )
        return found

    def too_large(self, trial: Trial, limit: int) -> bool:
        """Whether a candidate's file has too many bytes with its values, whose constants count."""
        return graph_bytes(self._start[trial.candidate]) > limit

    def _fitting(self, limit: int) -> Iterable[Candidate]:
        """Candidates as large as the file may be, each by what its graph takes."""
        with doing("measuring the original"):
            self.overhead = graph_overhead(self.model) + self.model.item_embedding.input_dim
        input_dim = self.model.item_embedding.input_dim
        tried = counted(families(input_dim), "candidate", 0.0, SEARCHING)
        sized = (self._sized(family, limit) for family in tried)
        biased = self.model.item_bias_embedding is not None  # which would have to go
        return worth_trying(c for c in sized if c is None or c.item_bias or not biased)

    def _sized(self, family: Family, limit: int) -> Candidate | None:
        """The candidate of a family whose file takes the bytes, or a little less.

        It is looked for from what the graph of the family before it, of the same method, took
        beside its tables.
        """
        method = getattr(family, "func", family)
        tables = len(self.model.item_tables)
        shape = self.model.item_embedding.input_dim, self.model.item_embedding.output_dim
        found = largest_file(
            limit,
            limit - self._overheads.get(method, self.overhead),
            lambda room: family(*shape, room // tables),
            self._file_bytes,
            spare=_SPARE,
        )
        # TensorFlow's graphs hold each other: those of the family go here, not some time later.
        gc.collect()
        if found is None:
            return None
        self._overheads[method] = found.file_bytes - int(found.room)
        return found.made

    def _file_bytes(self, candidate: Candidate) -> int:
        """Bytes of a candidate's file, whatever its values."""
        if candidate not in self._sizes:
            ranker = ranker_with(
                self.model,
                lambda layer: candidate.layer(layer.input_dim, layer.output_dim),
                **_changed(candidate),
            )
            fill_at_random(ranker)
            self._sizes[candidate] = graph_bytes(ranker)
        return self._sizes[candidate]

    def final(self, trial: Trial) -> Final:
        """A candidate's ranker after training."""
        student, split = self.student(trial.candidate)
        if not self.epochs:
            behaviour = self.behaviour(student, split)
            return Final(trial, student, split, trial.ndcg_before, behaviour)
        vocabulary = student.vocabulary
        assert vocabulary is not None
        teacher = uncompressed(self.model, vocabulary)
        num_negatives = student.num_negatives
        if num_negatives is None and vocabulary.input_dim >= LARGE_CATALOGUE:
            student.num_negatives = NUM_NEGATIVES
        checkpoint = None
        if self._checkpoints is not None:
            name = hashlib.sha256(str(trial.candidate).encode()).hexdigest()[:16]
            checkpoint = self._checkpoints / f"{name}.npz"
        record = train(student, split, self.settings, teacher=teacher, checkpoint=checkpoint)
        student.num_negatives = num_negatives
        ndcg = record["best"]
        ndcg, behaviour = self._with_first_list(student, split, ndcg)
        self.report(f"{trial.candidate}: nDCG {ndcg:.4f} after {self.epochs} epochs; {behaviour}")
        trial = replace(trial, ndcg_after=ndcg, num_trained=self.epochs)
        return Final(trial, student, split, ndcg, behaviour)

    def _with_first_list(
        self, student: CatalogueRanker, split: Split, ndcg: float
    ) -> tuple[float, Behaviour]:
        """Has the student keep the list of a new user where biases can do that for little nDCG."""
        behaviour = self.behaviour(student, split)
        if behaviour.keeps_first_list or self._lists is None:
            return ndcg, behaviour
        weights = student.get_weights()
        for _ in self._lists.moved_towards_first_list(student, split):
            now = self._ndcg(student, split)
            if now < (1 - _MOST_FOR_FIRST_LIST) * ndcg:
                break
            moved = self.behaviour(student, split)
            if moved.keeps_first_list:
                return now, moved
        student.set_weights(weights)
        return ndcg, behaviour

    def behaviour(self, ranker: CatalogueRanker, split: Split) -> Behaviour:
        """What a compressed ranker's lists have of the original's."""
        if self._lists is None:
            with ExitStack() as rounded:
                original = self._evaluated(self.model, rounded)
                self._lists = OriginalLists(original, self.split, self.settings)
        with ExitStack() as rounded:
            return self._lists.held_against(self._evaluated(ranker, rounded), split)

    def _ndcg(self, ranker: CatalogueRanker, split: Split) -> float:
        k = self.settings.k
        examples = validation_of(split, self.settings)
        with ExitStack() as rounded:
            # Not compiled: a ranker is evaluated once.
            evaluated = self._evaluated(ranker, rounded)
            return evaluate_ranker(evaluated, examples, k=k, score=evaluated)[f"ndcg@{k}"]

    def _evaluated(self, ranker: CatalogueRanker, rounded: ExitStack) -> CatalogueRanker:
        """The ranker as it is evaluated: what is slow to look up is looked up once."""
        assert ranker.vocabulary is not None
        if any(isinstance(layer, CodebookEmbedding) for layer in ranker.embeddings):
            # Looked up once, not for every batch. Not of other methods: where items share a row,
            # products with a full table break ties that the file has.
            ranker = uncompressed(ranker, ranker.vocabulary)
        for layer in ranker.embeddings:
            rounded.enter_context(layer.rounded_once())
        return ranker


def _changed(candidate: Candidate) -> dict[str, Any]:
    """Arguments of the ranker that are others than the original's."""
    return BIASES if candidate.item_bias else {}
