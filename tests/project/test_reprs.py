"""What objects show of themselves in an interpreter and in a notebook."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest

from memcom_tf import FullEmbedding, MEmComEmbedding, compress
from memcom_tf._keras import keras
from memcom_tf.compression import Compression
from memcom_tf.converters import CompressedModelFile, convert


@pytest.fixture(scope="module")
def conversion():
    ids = keras.Input((), dtype="int32", name="ids")
    return convert(keras.Model(ids, MEmComEmbedding(90, 8, num_buckets=9, name="items")(ids)))


def test_a_conversion_and_its_file_are_shown_in_a_line(conversion, tmp_path):
    conversion.save(tmp_path / "m.tflite")
    file = CompressedModelFile(tmp_path / "m.tflite")
    size = f"{len(conversion.content):,} bytes"
    assert repr(conversion).startswith(f"<Conversion: {size}, proved; signatures ")
    assert repr(file).startswith(f"<CompressedModelFile m.tflite: {size}; signatures ")
    for shown in (conversion._repr_html_(), file._repr_html_()):
        assert "<td>items/shared</td><td>int8" in shown and size in shown


def test_a_layer_shows_its_sizes_in_a_notebook():
    layer = MEmComEmbedding(90, 8, num_buckets=9, name="<items>")
    shown = layer._repr_html_()
    assert "MEmComEmbedding &lt;items&gt;: 90 x 8" in shown
    assert "<td>shared</td><td>weights</td><td>9</td><td>8</td>" in shown


def test_a_gain_is_no_loss():
    of = {name: None for name in inspect.signature(Compression).parameters}
    numbers = {**of, "k": 10, "original_bytes": 400, "file_bytes": 100}
    worse = Compression(**{**numbers, "ndcg": 0.18, "ndcg_of_original": 0.2})
    better = Compression(**{**numbers, "ndcg": 0.3, "ndcg_of_original": 0.2})
    assert "0.1800, 10.0 % lost of 0.2000" in str(worse)
    assert "0.3000, 50.0 % more than the original's 0.2000" in repr(better)


def test_layers_that_are_only_tried_are_not_counted():
    keras.backend.clear_session()
    names = [MEmComEmbedding.for_ratio(1000, 8, ratio=4).name for _ in range(2)]
    assert names == ["m_em_com_embedding", "m_em_com_embedding_1"]


def test_compress_names_an_option_of_another_model():
    model = SimpleNamespace()
    with pytest.raises(ValueError, match=r"`max_minutes` must be left out.*It takes ratio, max_b"):
        compress(model, ratio=2, max_minutes=3)
    with pytest.raises(ValueError, match="`method` must be left out: compress_ranker"):
        compress(model, [], ratio=2, method=FullEmbedding)
