"""The commands of text classifiers: training on documents, and their classes by a file."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from typing import Any

from memcom_tf.cli import labelled_models
from memcom_tf.cli.checkpoints import save_or_rescue
from memcom_tf.cli.commands import DONE, next_is, say, tell
from memcom_tf.cli.several_workers import another_writes, training_of
from memcom_tf.files import check_writable, write_atomically
from memcom_tf.progress import reporting

WIDTH = 64
_OVERHEAD = 400_000
"""Bytes of a text classifier beside its table, about."""


def train(options: argparse.Namespace) -> int:
    """Trains a text classifier on documents and saves it, if this is the worker that writes."""
    split = split_of(options, options.seed)
    from dataclasses import replace

    from memcom_tf.models import TextClassifier, save_model
    from memcom_tf.training import TextSettings, train_text_classifier

    settings = TextSettings(seed=options.seed)
    if options.epochs is not None:
        settings = replace(settings, epochs=options.epochs)
    if options.writes:
        check_writable(options.output, _OVERHEAD)
    with training_of(options) as checkpoint, reporting(say):
        trained = train_text_classifier(
            split,
            width=options.width or WIDTH,
            ratio=options.ratio,
            method=options.method,
            order=options.order,
            min_count=2 if options.min_count is None else options.min_count,
            max_words=options.max_words,
            teacher=labelled_models.teacher_of(options, TextClassifier, "text classifier"),
            settings=settings,
            checkpoint=checkpoint / "training.npz",
            report=say,
        )
    if another_writes(options):
        return DONE
    save_or_rescue(
        options.output,
        lambda path: save_model(trained.model, path, overwrite=options.force),
        checkpoint,
    )
    said = f"{options.output}: on the documents for test {_shown(trained.metrics)}"
    tell(options, said, output=str(options.output), **trained.metrics)
    next_is(options.output, f"memcom compress --task text {options.output} ...")
    return DONE


def compress(options: argparse.Namespace) -> int:
    """Compresses a trained text classifier, converts it and proves the file."""
    split = split_of(options, options.seed)
    from memcom_tf.compression import TEXT_SETTINGS, compress_texts
    from memcom_tf.models import TextClassifier

    kind = TextClassifier, "text classifier"
    return labelled_models.compress(options, split, kind, TEXT_SETTINGS, compress_texts)


def score(options: argparse.Namespace, file: Any) -> int:
    """Writes the class of each document and its probability, by a .tflite file alone."""
    from memcom_tf.datasets import load_documents

    (field,) = file.fields.categorical
    documents = load_documents(options.rows, options.text or field.name, options.label, report=say)
    probabilities = file.predict({field.name: documents.text})
    if documents.label is not None:
        from memcom_tf.evaluation import class_metrics, class_numbers

        say(_shown(class_metrics(probabilities, class_numbers(documents, file.classes))))
    places = probabilities.argmax(axis=1)
    found = [
        (file.classes[place], float(f"{row[place]:.6g}"))
        for place, row in zip(places.tolist(), probabilities, strict=True)
    ]
    text = _as_json(found) if options.json else _as_csv(found)
    if options.output is None:
        sys.stdout.write(text)
    else:
        write_atomically(options.output, text.encode())
        print(f"{options.output}: {len(found):,} classes")
    return DONE


def _as_json(found: list[tuple[str, float]]) -> str:
    rows = [{"class": name, "probability": value} for name, value in found]
    return json.dumps(rows, ensure_ascii=False, indent=0) + "\n"


def _as_csv(found: list[tuple[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("class", "probability"), *found])
    return text.getvalue()


def _shown(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def split_of(options: argparse.Namespace, seed: int) -> Any:
    """The documents, read before TensorFlow is loaded: what is wrong is said at once."""
    from memcom_tf.datasets import load_documents
    from memcom_tf.evaluation import split_documents

    documents = load_documents(
        options.interactions,
        options.text or "text",
        options.label or "label",
        time=options.time or None,
        test=options.test or None,
        report=say,
    )
    split = split_documents(documents, seed=seed)
    held_out = "the latest" if split.by_time else "some at random"
    if documents.is_test is not None:
        held_out = "those held out"
    say(
        f"{len(split.train):,} documents of {len(split.classes):,} classes to train on, "
        f"{len(split.validation):,} for validation, {len(split.test):,} for test, {held_out}"
    )
    return split
