"""Vocabularies in saved models, beside the weights."""

from __future__ import annotations

import os
from pathlib import Path

from memcom_tf.features import Features
from memcom_tf.vocabulary import Vocabulary

_ITEMS = "vocabulary.json"


def save_vocabulary(vocabulary: Vocabulary | None, folder: str | os.PathLike[str]) -> None:
    """Writes the vocabulary of items into the folder of a model, where there is one."""
    if vocabulary is not None:
        vocabulary.save(Path(folder) / _ITEMS)


def load_vocabulary(folder: str | os.PathLike[str]) -> Vocabulary | None:
    """Reads the vocabulary of items; None where there is none."""
    path = Path(folder) / _ITEMS
    return Vocabulary.load(path) if path.exists() else None


def save_fields(features: Features, folder: str | os.PathLike[str]) -> None:
    """Writes the vocabularies of fields into the folder of a model."""
    for place, name in enumerate(features.tables):
        if name in features.vocabularies:
            features.vocabularies[name].save(_of_field(folder, place))


def load_fields(features: Features, folder: str | os.PathLike[str]) -> Features:
    """The fields with the vocabularies that the folder of a model has."""
    found = {}
    for place, name in enumerate(features.tables):
        path = _of_field(folder, place)
        if path.exists():
            found[name] = Vocabulary.load(path)
    return features.with_vocabularies(found)


def _of_field(folder: str | os.PathLike[str], place: int) -> Path:
    return Path(folder) / f"vocabulary_{place}.json"
