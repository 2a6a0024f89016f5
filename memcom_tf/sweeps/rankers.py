"""What a sweep makes of interactions: rankers of full tables, of a method, and compressed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from memcom_tf.compression.candidates import Candidate
from memcom_tf.compression.file_size import fill_at_random, graph_bytes
from memcom_tf.compression.ranker import SETTINGS, compress_ranker
from memcom_tf.compression.sizes import Sized, tables_within
from memcom_tf.converters import CompressedModelFile
from memcom_tf.data import PreparedSplit
from memcom_tf.errors import argument, invalid
from memcom_tf.evaluation import Examples, Split, evaluate_lists
from memcom_tf.files import replacing
from memcom_tf.layers import METHODS, CompressedEmbedding, FullEmbedding
from memcom_tf.layers.contract.shared_rows import SharedRows
from memcom_tf.models import NextItemRanker
from memcom_tf.seeding import seeded
from memcom_tf.sweeps.work import Made, Report
from memcom_tf.tables import RowSharing
from memcom_tf.training import TrainingSettings, train
from memcom_tf.training.checkpoint import fingerprint
from memcom_tf.training.recipe import TUNED, by_similarity, new_ranker, start

EXAMPLES = "test.npz"
"""The examples for test, as `memcom compare --examples` takes them."""
_MOST_EXAMPLES = 10_000
"""Users that a file is tested on, at most."""
_NAME = "items"  # a number that Keras appends would count in the bytes of a file


class Rankers:
    """Rankers of interactions, all trained by the recipe of `memcom_tf.training.train_ranker`.

    Args:
        split: The interactions.
        width: Width of an embedding.
        settings: How rankers are trained, but for the seed.
        verbose: As of `keras.Model.fit`.
        report: Called with lines on what is done.
    """

    def __init__(
        self,
        split: Split,
        width: int,
        settings: TrainingSettings,
        verbose: int = 0,
        report: Report = lambda line: None,
    ) -> None:
        self.split, self.width, self.settings = split, width, settings
        self.verbose, self.report = verbose, report
        self.k = settings.k
        self.metric = f"ndcg@{settings.k}"
        self.student = replace(SETTINGS, k=settings.k)
        if settings.epochs is not None:
            self.student = replace(self.student, epochs=settings.epochs)
        self._overhead = 0

    @property
    def described(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What tells the data and the settings from others."""
        vocabulary = self.split.vocabulary
        data = {"fingerprint": _fingerprint(self.split)[:16], "items": len(vocabulary)}
        training, student = ({**asdict(each)} for each in (self.settings, self.student))
        del training["seed"], student["seed"]
        own = {"width": self.width, "history_length": self.split.history_length}
        return data, {**own, "training": training, "compress": student}

    def full(self, seed: int) -> Made:
        """A ranker with a full table."""
        return self._trained(self.split, self._whole, seed)

    def of_method(self, name: str, seed: int, limit: int, ratio: float) -> Made:
        """A ranker whose table is of a method, trained from the start.

        Items that share rows are numbered by the similarity of who took them, and half of the rows
        belong to single items, as `train_ranker` has it.
        """
        sized = self._with_single_items(self._largest(METHODS[name], limit))
        sharing = self._sharing(sized)
        if sharing is None:
            return self._trained(self.split, sized, seed)
        with seeded(seed):
            split = by_similarity(self.split, sharing, self.width)
        return self._trained(split, sized, seed)

    def _sharing(self, sized: Sized) -> RowSharing | None:
        """How items share rows of a table; None where each has a row of its own."""
        sharing: RowSharing | None = getattr(sized.layer(name=_NAME), "sharing", None)
        if sharing is None or sharing.num_rows >= len(self.split.vocabulary):
            return None
        return sharing

    def _with_single_items(self, sized: Sized) -> Sized:
        """A table of as many rows, of which half belong to single items where items share rows."""
        sharing = self._sharing(sized)
        if sharing is None or not issubclass(sized.candidate.method, SharedRows):
            return sized
        rows = sharing.num_rows
        arguments = {
            **sized.candidate.arguments,
            **RowSharing(rows - rows // 2, rows // 2).arguments(),
        }
        return sized._replace(candidate=replace(sized.candidate, arguments=arguments))

    def compressed(self, full: NextItemRanker, seed: int, limit: int) -> Made:
        """What `compress_ranker` makes of a full ranker."""
        settings = replace(self.student, seed=seed)
        found = compress_ranker(
            full, self.split, max_bytes=limit, settings=settings, report=self.report
        )
        return Made(found.model, found.split, str(found.chosen), found.ndcg, {"k": self.k})

    def metrics(self, path: Path, made: Made) -> dict[str, float]:
        """What a file, by itself, makes of the examples for test."""
        file = CompressedModelFile(path)
        examples = _examples_for_test(made.split)
        return evaluate_lists(lambda inputs: file.rank(inputs)[0], examples, k=self.k)

    def keep_examples(self, folder: Path) -> None:
        """Writes the examples for test under the ids of the full ranker."""
        test = _examples_for_test(self.split)
        with replacing(folder / EXAMPLES) as beside:
            np.savez(beside, history=test.history, target=test.target)

    @property
    def _whole(self) -> Sized:
        return Sized(Candidate(FullEmbedding), self.split.vocabulary.input_dim, self.width)

    def _trained(self, split: Split, sized: Sized, seed: int) -> Made:
        with seeded(seed):
            model = _new(split, sized)
        settings = replace(self.settings, seed=seed)
        record = train(model, split, settings, verbose=self.verbose, report=self.report)
        return Made(model, split, str(sized), float(record["best"]), {"k": self.k})

    def _largest(self, method: type[CompressedEmbedding], limit: int) -> Sized:
        """The largest table of a method with which the file of the ranker takes so many bytes."""

        def file_bytes(sized: Mapping[str, Sized]) -> int:
            ranker = _new(self.split, self._with_single_items(sized[_NAME]))
            fill_at_random(ranker)
            return graph_bytes(ranker)

        whole = self._whole
        shape = whole.rows, whole.width
        if not self._overhead:
            self._overhead = file_bytes({_NAME: whole}) - whole.candidate.stored_bytes(*shape)
        tuned = TUNED.get(method.__name__, {})
        found = tables_within(method, {_NAME: shape}, limit, self._overhead, file_bytes, **tuned)
        if found is None:
            raise invalid(
                f"{argument('ratios')} must leave room for the smallest {method.__name__}.",
                f"A file without the table takes about {self._overhead:,} bytes.",
                max_bytes=limit,
            )
        return found[_NAME]


def _new(split: Split, sized: Sized) -> NextItemRanker:
    layer = sized.layer(embeddings_initializer=start(), name=_NAME)
    return new_ranker(split, layer, name="ranker")


def _examples_for_test(split: Split) -> Examples:
    """The examples for test, or so many of them."""
    if isinstance(split, PreparedSplit):
        return split.sample("test", _MOST_EXAMPLES)
    return split.test[:_MOST_EXAMPLES]


def _fingerprint(split: Split) -> str:
    if isinstance(split, PreparedSplit):
        return split.fingerprint
    parts = (split.train, split.validation, split.test)
    return fingerprint([array for part in parts for array in (part.history, part.target)])
