"""Products with a trained table, in every spelling: the table is in the file once, in integers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.tracing import large

ITEMS, LENGTH, WIDTH = 900, 6, 32

SPELLINGS = {
    "matmul": lambda h, t: tf.matmul(h, t, transpose_b=True),
    "matmul of a transposed": lambda h, t: tf.matmul(h, tf.transpose(t)),
    "matmul with axes": lambda h, t: tf.matmul(h, t[None], transpose_b=True),
    "on the left": lambda h, t: tf.matmul(t, h, transpose_b=True),
    "of one position": lambda h, t: tf.matmul(h[:, -1], t, transpose_b=True),
    "of one position, on the left": lambda h, t: tf.matmul(t, h[:, -1], transpose_b=True),
    "matvec": lambda h, t: tf.linalg.matvec(t, h[:, -1]),
    "queries by columns": lambda h, t: tf.matmul(
        tf.transpose(h, [0, 2, 1]), t, transpose_a=True, transpose_b=True
    ),
    "bld,vd->blv": lambda h, t: tf.einsum("bld,vd->blv", h, t),
    "bld,vd->bvl": lambda h, t: tf.einsum("bld,vd->bvl", h, t),
    "vd,bld->lbv": lambda h, t: tf.einsum("vd,bld->lbv", t, h),
    "...d,vd->...v": lambda h, t: tf.einsum("...d,vd->...v", h, t),
    "bd,vd->bv": lambda h, t: tf.einsum("bd,vd->bv", h[:, -1], t),
    "dv,bd->vb": lambda h, t: tf.einsum("dv,bd->vb", tf.transpose(t), h[:, -1]),
    "d,vd->v": lambda h, t: tf.einsum("d,vd->v", h[0, 0], t),
    "tensordot": lambda h, t: tf.tensordot(h, t, [[2], [1]]),
    "tensordot of a transposed": lambda h, t: tf.tensordot(h, tf.transpose(t), 1),
    "without the padding": lambda h, t: tf.matmul(h[:, -1], t[1:], transpose_b=True),
    "without the last": lambda h, t: tf.einsum("bld,vd->blv", h, t[:-3]),
    # Not of one row `h[:, None]`: TensorFlow 2.21 with oneDNN multiplies [b, 1, l, d] with a matrix
    # wrongly on AVX-512, and crashes where b is large.
    "of rank 4": lambda h, t: tf.matmul(tf.stack([h, -h], 1), t, transpose_b=True),
}
if is_keras_3:
    ops = keras.ops
    SPELLINGS |= {
        "ops.matmul": lambda h, t: ops.matmul(h, ops.transpose(t)),
        "ops.dot": lambda h, t: ops.dot(h, ops.transpose(t)),
        "ops.einsum": lambda h, t: ops.einsum("bld,vd->blv", h, t),
        "ops.tensordot": lambda h, t: ops.tensordot(h, t, axes=[[2], [1]]),
    }
IN_FLOATS = {
    # The file has the table once as well, and computes with its values.
    "cosine": lambda h, t: tf.matmul(h[:, -1], tf.math.l2_normalize(t, 1), transpose_b=True),
    "scaled": lambda h, t: tf.matmul(h[:, -1], t * 2.0, transpose_b=True),
    "attention over all": lambda h, t: tf.nn.softmax(tf.matmul(h, t, transpose_b=True)) @ t,
    "its mean": lambda h, t: h + tf.reduce_mean(t, 0),
}


class Tied(keras.Model):
    def __init__(self, compute):
        super().__init__(name="tied")
        self.compute = compute
        self.items = keras.layers.Embedding(ITEMS, WIDTH, name="items")

    def call(self, history):
        return self.compute(self.items(history), tf.convert_to_tensor(self.items.embeddings))


def tied(compute):
    model = Tied(compute)
    model(np.zeros((1, LENGTH), np.int32))
    table = np.random.default_rng(0).normal(0, 0.3, (ITEMS, WIDTH)).astype(np.float32)
    model.items.set_weights([table])
    return model


def converted(model, folder, weights, length=LENGTH):
    inputs = tf.TensorSpec([None, length], tf.int32, name="history")
    conversion = convert(model, inputs=inputs, weights=weights, verify=False)
    conversion.save(folder / "model.tflite", overwrite=True)
    history = np.random.default_rng(1).integers(0, ITEMS, (2, LENGTH)).astype(np.int32)
    found = CompressedModelFile(folder / "model.tflite").run("serving_default", history=history)
    wanted = {name: np.array(values) for name, values in model(history).items()}
    return conversion.report, found, wanted


ALL = SPELLINGS | IN_FLOATS


@pytest.mark.few(1)
@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("weights", ["int8", "int4", "float16"])
def test_all_spellings_read_one_table(weights, is_large, tmp_path, monkeypatch):
    if is_large:
        monkeypatch.setattr(large, "LARGE_BYTES", 256)
    names = sorted(ALL)
    model = tied(lambda h, t: {f"o{i:02}": ALL[name](h, t) for i, name in enumerate(names)})
    length = None if weights == "int4" else LENGTH
    report, found, wanted = converted(model, tmp_path, weights, length)
    assert report["left_as_floats"] == {}
    (described,) = report["embeddings"]
    assert described["method"] == "lookup and product"
    bits = {"int8": 8, "int4": 4, "float16": 16}[weights]
    assert report["graph_bytes"] < ITEMS * (WIDTH * bits // 8 + 4) + 40_000
    tolerance = {"int8": 0.03, "int4": 0.4, "float16": 1e-3}[weights]
    for place, name in enumerate(names):
        check(found[f"o{place:02}"], wanted[f"o{place:02}"], tolerance, name)


@pytest.mark.long
@pytest.mark.parametrize("spelling", ALL)
def test_the_table_is_in_the_file_once(spelling, tmp_path):
    model = tied(lambda h, t: {"scores": ALL[spelling](h, t)})
    report, found, wanted = converted(model, tmp_path, "int8")
    assert report["left_as_floats"] == {}
    (described,) = report["embeddings"]
    is_product = spelling in SPELLINGS or "attention" in spelling
    assert described["method"] == ("lookup and product" if is_product else "lookup")
    assert report["graph_bytes"] < ITEMS * (WIDTH + 4) + 12_000
    check(found["scores"], wanted["scores"], 0.03, spelling)


def check(found, wanted, tolerance, name):
    assert found.shape == wanted.shape, name
    largest = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, atol=tolerance * largest, err_msg=name)
