"""Writes the small model files that the app's tests open.

    python -m android_demo.tools.make_fixtures FOLDER

Most are of one untrained ranker of teas: another catalogue, list, width and history than the
demo's, items that are strings, no genres, and a table of its own for the ranked items. Others are
of a click model over rows of every kind of field, of rankers of teas by fields, and of the vectors
of titles.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

from examples.query_towers import Present, with_fields
from memcom_tf import FullEmbedding, MEmComEmbedding, Vocabulary
from memcom_tf._keras import keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.inspection.golden import golden, golden_path
from memcom_tf.converters.model_file import description as format_of_files
from memcom_tf.converters.model_file.archive import Archive, append_members, read_archive
from memcom_tf.datasets import Rows
from memcom_tf.features import Categorical, Features, Numeric, fit_features, hashed_ngrams
from memcom_tf.models import (
    ClickModel,
    NextItemRanker,
    RetrievalModel,
    TextVectors,
    compressed_tables,
)

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
    draw_weights(ranker)
    return ranker


def draw_weights(model: keras.Model) -> None:
    rng = np.random.default_rng(7)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.2, 0.5, variable.shape))


def categories(name: str, values: Sequence[str], **several: Any) -> Categorical:
    vocabulary = Vocabulary(list(values), out_of_vocabulary="share")
    return Categorical(name, vocabulary.input_dim, vocabulary=vocabulary, **several)


OFFERED = Features(
    [categories("weekday", WEEKDAYS), categories("flavours", FLAVOURS, length=2, separator="|")],
    [Numeric("age")],
)
"""What is known beside the history of teas."""


def retrieval(query_model: keras.Model, items: MEmComEmbedding, **arguments: Any) -> RetrievalModel:
    """An untrained ranker of the teas by any query."""
    model = RetrievalModel(query_model, items, item_bias=True, **arguments)
    model.build_once()
    draw_weights(model)
    return model


def tea_table(vocabulary: Vocabulary) -> MEmComEmbedding:
    return MEmComEmbedding(vocabulary.input_dim, 8, num_buckets=20)


def offers(vocabulary: Vocabulary) -> RetrievalModel:
    """A ranker by a history and by fields."""
    items = tea_table(vocabulary)
    tower = with_fields(items, HISTORY_LENGTH, OFFERED)
    return retrieval(tower, items, features=OFFERED, vocabulary=vocabulary, name="offers")


def today(vocabulary: Vocabulary) -> RetrievalModel:
    """A ranker by numbers alone."""
    numbers = keras.Input([1], name="numbers")
    tower = keras.Model(numbers, keras.layers.Dense(8)(Present()(numbers)))
    features = replace(OFFERED, categorical=())
    return retrieval(
        tower, tea_table(vocabulary), features=features, vocabulary=vocabulary, name="today"
    )


def by_hour(vocabulary: Vocabulary) -> RetrievalModel:
    """A ranker by a history, and by an input that is no field."""
    items = tea_table(vocabulary)
    history = keras.Input([HISTORY_LENGTH], dtype="int32", name="history")
    hour = keras.Input([1], name="hour")
    mean = keras.layers.GlobalAveragePooling1D()(items(history))
    query = keras.layers.Dense(8)(keras.layers.Concatenate()([mean, hour]))
    tower = keras.Model([history, hour], query)
    return retrieval(tower, items, vocabulary=vocabulary, name="by_hour")


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


def titles() -> TextVectors:
    """An untrained model of vectors of titles, whose linear layer is large enough for integers."""
    model = TextVectors(hashed_ngrams("title", num_buckets=300, max_ngrams=48), 32, width=32)
    model.build_once()
    draw_weights(model)
    return model


def save(model: keras.Model, path: Path) -> None:
    """Converts a model to a file, with its golden values beside it."""
    whole = convert(model, k=K)
    assert whole.verification is not None
    if not whole.verification.passed:
        sys.exit(f"The file does not equal the model: {whole.verification}")
    whole.save(path, overwrite=True)
    write_golden(path)


def write_golden(path: Path) -> None:
    document = golden(CompressedModelFile(path))
    golden_path(path).write_text(json.dumps(document))


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    names = {f"{leaf[:3].lower()}-{sort}": f"{leaf}, {sort}" for sort in SORTS for leaf in LEAVES}
    vocabulary = Vocabulary(names, details={"title": names})
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
    for name, by in (("later", 1), ("earlier", -1)):
        version = format_of_files.FORMAT_VERSION + by
        with mock.patch.object(format_of_files, "FORMAT_VERSION", version):
            other = append_members(graph, description, vocabulary)
        (folder / f"{name}_version.tflite").write_bytes(other)
    for version in (2, 3):
        described_otherwise(intact, f"teas_{version}", model_version=version)
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
    fields = read_archive(folder / "clicks.tflite").description.fields or ()
    described_otherwise(folder / "clicks.tflite", "clicks_of_fewer_fields", fields=fields[:-1])
    save_rankers_by_fields(folder, vocabulary)
    save_titles(folder / "titles.tflite")


def save_titles(path: Path) -> None:
    """Writes the model of vectors of titles, and some whose graph is another than they say."""
    save(titles(), path)
    described = read_archive(path).description
    (field,) = described.fields or ()
    fewer = [replace(field, length=field.length - 1)]
    described_otherwise(path, "titles_of_fewer_ngrams", fields=fewer)
    wider = (described.output_dim or 0) + 1
    described_otherwise(path, "titles_of_wider_vectors", output_dim=wider)


def save_rankers_by_fields(folder: Path, vocabulary: Vocabulary) -> None:
    """Writes them, and some whose graph is another than they say."""
    path = folder / "offers.tflite"
    save(offers(vocabulary), path)
    convert(by_hour(vocabulary), k=K).save(folder / "offers_by_hour.tflite", overwrite=True)
    archive = read_archive(path)
    ranker, fields = archive.description.ranker, archive.description.fields
    assert ranker is not None and fields is not None
    # Converters leave inputs out that nothing depends on: here the categories of the fields.
    alone = folder / "today.tflite"
    convert(today(vocabulary), k=K).save(alone, overwrite=True)
    described_otherwise(alone, "today", fields_of=archive, fields=fields)
    write_golden(alone)
    longer = [replace(fields[0], length=2), *fields[1:]]
    described_otherwise(path, "offers_of_more_fields", fields=longer)
    described_otherwise(path, "offers_of_longer_list", ranker=replace(ranker, k=K + 1))
    described_otherwise(path, "offers_of_longer_history", ranker=replace(ranker, history_length=5))
    described_otherwise(path, "offers_without_history", ranker=replace(ranker, history_length=0))
    with_history = replace(ranker, history_length=3)
    described_otherwise(alone, "today_with_history", ranker=with_history)


def described_otherwise(
    path: Path, name: str, fields_of: Archive | None = None, **changed: Any
) -> None:
    """Writes a file again beside it, whose description is another."""
    archive = read_archive(path)
    dictionaries = (fields_of or archive).field_dictionaries
    fields = {of: one.vocabulary() for of, one in dictionaries.items()}
    other = append_members(
        path.read_bytes()[: archive.graph_bytes],
        replace(archive.description, **changed),
        archive.vocabulary,
        fields,
    )
    path.with_stem(name).write_bytes(other)


if __name__ == "__main__":
    main()
