"""What a sweep makes of documents: text classifiers of full tables, of a method, and compressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from memcom_tf.compression.candidates import Candidate
from memcom_tf.compression.file_size import fill_at_random
from memcom_tf.compression.sizes import Sized, tables_within
from memcom_tf.compression.texts import TEXT_SETTINGS, compress_texts
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.errors import argument, invalid
from memcom_tf.evaluation import DocumentSplit, class_metrics, class_numbers
from memcom_tf.features import Features, fit_text
from memcom_tf.layers import METHODS, CompressedEmbedding, FullEmbedding, MEmComEmbedding
from memcom_tf.models import TextClassifier
from memcom_tf.models.text_classifier import start
from memcom_tf.models.text_model import POOLED
from memcom_tf.seeding import seeded
from memcom_tf.sweeps.work import Made, Report
from memcom_tf.tables import RowSharing
from memcom_tf.training import TextSettings, train_texts
from memcom_tf.training.checkpoint import fingerprint
from memcom_tf.training.recipe import TUNED
from memcom_tf.training.text_tables import ordered

_NAME = "words"  # as of all text classifiers


class Texts:
    """Text classifiers of documents, by the recipe of `memcom_tf.training.train_text_classifier`.

    Args:
        split: The documents.
        width: Width of the word vectors.
        settings: How models are trained, but for the seed.
        report: Called with lines on what is done.
    """

    metric = "accuracy"

    def __init__(
        self,
        split: DocumentSplit,
        width: int,
        settings: TextSettings,
        report: Report = lambda line: None,
    ) -> None:
        self.split, self.width, self.settings, self.report = split, width, settings, report
        self.student = TEXT_SETTINGS
        if settings.epochs is not None:
            self.student = replace(self.student, epochs=settings.epochs)
        self._overhead = 0

    @cached_property
    def features(self) -> Features:
        """The words, counted in the documents for training."""
        train = self.split.train
        return fit_text(train.text.array().tolist(), name=train.name)

    @property
    def described(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What tells the data and the settings from others."""
        arrays = []
        for part in (self.split.train, self.split.validation, self.split.test):
            arrays += [*self.features.encode(part.columns).values()]
            arrays.append(class_numbers(part, self.split.classes))
        data = {"fingerprint": fingerprint(arrays)[:16], "documents": len(self.split.train)}
        training, student = ({**asdict(each)} for each in (self.settings, self.student))
        del training["seed"], student["seed"]
        return data, {"width": self.width, "training": training, "compress": student}

    def full(self, seed: int) -> Made:
        """A model with a full table of words."""
        return self._trained(self._whole, seed)

    def of_method(self, name: str, seed: int, limit: int, ratio: float) -> Made:
        """A model whose table of words is of a method, as `Work` has it.

        Half of MEmCom's rows belong to single words, and which words share the others is decided
        by the classes of the documents for training that they occur in.
        """
        return self._trained(_with_single_words(self._largest(METHODS[name], limit)), seed)

    def compressed(self, full: TextClassifier, seed: int, limit: int) -> Made:
        """A full model compressed, as `Work` has it."""
        settings = replace(self.student, seed=seed)
        found = compress_texts(
            full, self.split, max_bytes=limit, settings=settings, report=self.report
        )
        chosen, loss = str(found.trials[0].candidate), found.metrics[1]["log loss"]
        return Made(found.model, self.split, chosen, loss, {"samples": found.samples})

    def metrics(self, path: Path, made: Made) -> dict[str, float]:
        """How well a file, by itself, classifies the documents for test."""
        file, test = CompressedModelFile(path), made.split.test
        classes = file.classes
        assert classes is not None
        return class_metrics(file.predict(test.columns), class_numbers(test, classes))

    def keep_examples(self, folder: Path) -> None:
        """Writes nothing: files of text classifiers are compared without."""

    @property
    def _whole(self) -> Sized:
        (field,) = self.features.categorical
        return Sized(Candidate(FullEmbedding), field.input_dim, self.width)

    def _trained(self, sized: Sized, seed: int) -> Made:
        with seeded(seed):
            table = _layer(sized)
            features = ordered(self.features, self.split, table, "classes", seed)
            model = self._new(table, features)
        settings = replace(self.settings, seed=seed)
        record = train_texts(model, self.split, settings, report=self.report)
        return Made(model, self.split, str(sized), float(record["best"]))

    def _new(self, table: CompressedEmbedding, features: Features) -> TextClassifier:
        return TextClassifier(features, self.split.classes, embedding=table, name="texts")

    def _largest(self, method: type[CompressedEmbedding], limit: int) -> Sized:
        """The largest table of a method with which the file takes so many bytes."""

        def file_bytes(sized: Mapping[str, Sized]) -> int:
            model = self._new(_layer(_with_single_words(sized[_NAME])), self.features)
            fill_at_random(model)
            return int(convert(model, verify=False).report["graph_bytes"])

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


def _with_single_words(sized: Sized) -> Sized:
    """A table of as many rows, of which half of MEmCom's belong to single words."""
    if sized.candidate.method is not MEmComEmbedding:
        return sized
    rows = sized.candidate.arguments["num_buckets"]
    sharing = RowSharing(rows - rows // 2, rows // 2)
    arguments = {**sized.candidate.arguments, **sharing.arguments()}
    return sized._replace(candidate=replace(sized.candidate, arguments=arguments))


def _layer(sized: Sized) -> CompressedEmbedding:
    return sized.layer(embeddings_initializer=start(), name=_NAME, **POOLED)
