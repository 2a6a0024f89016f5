"""Writes the small model files that the app's tests open.

    python android_demo/tools/make_fixtures.py FOLDER

All are of one untrained ranker of teas: another catalogue, list, width and history than the
demo's, items that are strings, no genres, and a table of its own for the ranked items.
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
from memcom_tf.models import NextItemRanker

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


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    titles = {f"{leaf[:3].lower()}-{sort}": f"{leaf}, {sort}" for sort in SORTS for leaf in LEAVES}
    vocabulary = Vocabulary(titles, details={"title": titles})
    whole = convert(teas(vocabulary), k=K)
    assert whole.verification is not None
    if not whole.verification.passed:
        sys.exit(f"The file does not equal the model: {whole.verification}")
    intact = folder / "teas.tflite"
    whole.save(intact, overwrite=True)
    document = golden(CompressedModelFile(intact))
    golden_path(intact).write_text(json.dumps(document))
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


if __name__ == "__main__":
    main()
