"""Writes models and files of every method, as this version of memcom_tf makes them.

python -m tests.earlier_files

They are kept in tests/golden, with what they answer, so that later versions can be held against
them: what was saved stays loadable, and gives the same numbers.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from memcom_tf import Vocabulary, __version__
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.layers import METHODS
from memcom_tf.models import NextItemRanker
from tests.contract.methods import Case

ARCHIVE = Path(__file__).parent / "golden" / f"files-{__version__}.tar.xz"
LENGTH, K = 3, 3
SCORED = 24
"""Items whose scores are kept."""
HISTORIES = [[5], [1, 2, 3], [23, 7]]
WEIGHTS = {
    "DoubleHashedEmbedding": "int4",
    "MEmComEmbedding": "int8",
    "ProductQuantizedEmbedding": "int8_per_table",
    "QuotientRemainderEmbedding": "int2",
}
"""Methods of which a file is kept, and how its tables are stored."""


def ranker(name: str) -> NextItemRanker:
    """A ranker of a method, whose tables and biases all hold distinct values."""
    method = METHODS[name]
    ratio = 1 if method.size_argument is None else 2
    layer = Case(method, method.variants[0]).trained(input_dim=100, ratio=ratio)
    vocabulary = Vocabulary([f"item {i}" for i in range(1, layer.input_dim)])
    model = NextItemRanker(layer, history_length=LENGTH, vocabulary=vocabulary)
    model.build((None, LENGTH))
    rng = np.random.default_rng(3)
    for embedding in model.embeddings[1:]:
        for variable in embedding.trainable_variables:
            variable.assign(rng.normal(0.5, 0.2, variable.shape))
    return model


def scores_of(model: NextItemRanker) -> list[list[float]]:
    """Scores of the first items for each history."""
    histories = np.zeros((len(HISTORIES), LENGTH), np.int32)
    for row, history in zip(histories, HISTORIES, strict=True):
        row[: len(history)] = history
    return np.asarray(model(histories), np.float64)[:, :SCORED].round(6).tolist()


def lists_of(file: CompressedModelFile) -> list[list[list[float]]]:
    """Ids and scores of the list for each history."""
    return [[np.round(x, 6).tolist() for x in file.rank(history)] for history in HISTORIES]


def main() -> None:
    """Writes the archive."""
    answers = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for method in METHODS:
            model, path = ranker(method), folder / f"{method}.keras"
            model.save(path)
            answers[path.name] = scores_of(model)
            if method in WEIGHTS:
                path = path.with_suffix(".tflite")
                convert(model, k=K, weights=WEIGHTS[method], verify=False).save(path)
                answers[path.name] = lists_of(CompressedModelFile(path))
        (folder / "answers.json").write_text(json.dumps(answers))
        # Together: files of one kind have much in common.
        with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name)


if __name__ == "__main__":
    main()
