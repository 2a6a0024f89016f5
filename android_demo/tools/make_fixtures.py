"""Writes the small model files that the app's tests open.

    python android_demo/tools/make_fixtures.py FOLDER

Most are of one untrained ranker of teas: another catalogue, list, width and history than the
demo's, items that are strings, no genres, and a table of its own for the ranked items. Others are
of a click model over rows of every kind of field.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

from memcom_tf import FullEmbedding, MEmComEmbedding, Vocabulary
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.inspection.golden import golden, golden_path
from memcom_tf.converters.model_file import description as format_of_files
from memcom_tf.converters.model_file.archive import append_members, read_archive
from memcom_tf.datasets import Rows
from memcom_tf.features import fit_features
from memcom_tf.models import ClickModel, NextItemRanker, compressed_tables

LEAVES = (
    "Assam",
    "Ceylon",
    "Darjeeling",
    "Earl Grey",
    "Genmaicha",
    "Gunpowder",
    "Hōjicha",
    "Keemun",
)
SORTS = ("breakfast", "evening", "garden", "mountain", "winter")
HARVESTS = range(1975, 2025)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FLAVOURS = ("floral", "grassy", "malty", "nutty", "smoky")
HISTORY_LENGTH = 4
K = 6


def teas(vocabulary: Vocabulary | None) -> NextItemRanker:
    """An untrained ranker of 40 teas."""
    keras.utils.set_random_seed(7)
    items = len(LEAVES) * len(SORTS) + 1
    ranker = NextItemRanker(
        MEmComEmbedding(items, 8, num_buckets=20),
        history_length=HISTORY_LENGTH,
        output_embedding=FullEmbedding(items, 8),
        vocabulary=vocabulary,
        name="teas",
    )
    ranker.build((None, HISTORY_LENGTH))
    rng = np.random.default_rng(7)
    for variable in ranker.trainable_variables:
        variable.assign(rng.normal(0.2, 0.5, variable.shape))
    return ranker


def clicks() -> ClickModel:
    """A click model of 2,000 teas, whose table is compressed, trained for seconds."""
    rng = np.random.default_rng(7)
    names = [f"{leaf}, {sort} {year}" for year in HARVESTS for sort in SORTS for leaf in LEAVES]
    # Every tea twice, which is what it takes to be known.
    often = rng.integers(0, 50, 2 * len(names))
    tea = rng.permutation(np.r_[np.tile(np.arange(len(names)), 2), often])
    count = len(tea)
    flavours = [rng.choice(FLAVOURS, rng.integers(0, 4), replace=False) for _ in range(count)]
    weekday = rng.integers(0, len(WEEKDAYS), count)
    price = rng.lognormal(2, 1, count)
    age = np.where(rng.random(count) < 0.2, np.nan, rng.integers(18, 90, count))
    likes = np.array(["smoky" in found for found in flavours])
    logit = 1.5 * likes + 0.5 * (weekday > 4) - 0.5 * np.log(price) + 0.02 * np.nan_to_num(age, 40)
    rows = Rows.of(
        {
            "tea": [names[place] for place in tea],
            "weekday": [WEEKDAYS[place] for place in weekday],
            "flavours": ["|".join(found) for found in flavours],
        },
        {"price": price, "age": age},
        several={"flavours": "|"},
        label=rng.random(count) < 1 / (1 + np.exp(-logit)),
    )
    keras.utils.set_random_seed(7)
    features = fit_features(rows)
    tables = compressed_tables(features, "QuotientRemainderEmbedding", 8, width=8)
    model = ClickModel(features, width=8, hidden_units=(16,), tables=tables, name="clicks")
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    model.fit(features.encode(rows), rows.labels, batch_size=500, epochs=3, verbose=0)
    return model


def save(model: keras.Model, path: Path) -> None:
    """Converts a model to a file, with its golden values beside it."""
    whole = convert(model, k=K)
    assert whole.verification is not None
    if not whole.verification.passed:
        sys.exit(f"The file does not equal the model: {whole.verification}")
    whole.save(path, overwrite=True)
    document = golden(CompressedModelFile(path))
    golden_path(path).write_text(json.dumps(document))


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    titles = {f"{leaf[:3].lower()}-{sort}": f"{leaf}, {sort}" for sort in SORTS for leaf in LEAVES}
    vocabulary = Vocabulary(titles, details={"title": titles})
    intact = folder / "teas.tflite"
    save(teas(vocabulary), intact)
    convert(teas(None), k=K).save(folder / "nameless.tflite", overwrite=True)

    content = intact.read_bytes()
    (folder / "cut_off.tflite").write_bytes(content[: len(content) * 2 // 3])
    changed = bytearray(content)
    changed[read_archive(intact).graph_bytes // 2] ^= 0xFF
    (folder / "damaged.tflite").write_bytes(changed)
    (folder / "no_model.tflite").write_bytes(b"not a model at all" * 9)
    archive = read_archive(intact)
    graph, description = content[: archive.graph_bytes], archive.description
    with mock.patch.object(format_of_files, "FORMAT_VERSION", format_of_files.FORMAT_VERSION + 1):
        later = append_members(graph, description, vocabulary)
    (folder / "later_version.tflite").write_bytes(later)
    # A vocabulary that promises more than the tables hold.
    more = Vocabulary(range(1000))
    promised = replace(
        description,
        vocabulary_fingerprint=more.fingerprint,
        embeddings=[replace(description.embeddings[0], input_dim=more.input_dim)],
    )
    (folder / "too_many_items.tflite").write_bytes(append_members(graph, promised, more))
    # Its checksum is right: only the runtime can tell that this is no flatbuffer.
    nonsense = graph[:8] + bytes(255 - byte for byte in graph[8:])
    unreadable = append_members(nonsense, description, vocabulary)
    assert zlib.crc32(nonsense) != description.graph_crc32
    (folder / "unreadable_graph.tflite").write_bytes(unreadable)

    save(clicks(), folder / "clicks.tflite")
    archive = read_archive(folder / "clicks.tflite")
    graph = (folder / "clicks.tflite").read_bytes()[: archive.graph_bytes]
    fewer = replace(archive.description, fields=(archive.description.fields or ())[:-1])
    vocabularies = {name: one.vocabulary() for name, one in archive.field_dictionaries.items()}
    other = append_members(graph, fewer, None, vocabularies)
    (folder / "clicks_of_fewer_fields.tflite").write_bytes(other)


if __name__ == "__main__":
    main()
