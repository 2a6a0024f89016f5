"""What is read off a lookup, and what of it the fused ops refuse."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.kernels import selection, use
from memcom_tf.kernels.program import program_of
from memcom_tf.layers import (
    CompressedEmbedding,
    HashWeightedEmbedding,
    MEmComEmbedding,
    QuotientRemainderEmbedding,
    Table,
)
from memcom_tf.ops.interface import UnsupportedOpError
from memcom_tf.ops.symbols import Index
from tests.native import needs_native


class Custom(CompressedEmbedding):
    """A method of somebody else: what it computes is handed in."""

    def __init__(self, *, compute, widths=(4, 4), rows=50, **kwargs):
        super().__init__(100, 4, **kwargs)
        self._compute, self._widths, self._rows = compute, widths, rows

    def tables(self):
        return tuple(Table(f"t{k}", self._rows, width) for k, width in enumerate(self._widths))

    def lookup(self, xp, ids, t):
        return self._compute(xp, ids, t)


def twice(xp, ids, t):
    """One table at two indices, as in the original hash embeddings."""
    return xp.gather(t["t0"], ids % 7) + 0.5 * xp.gather(t["t0"], (3 * ids + 1) % 50)


def square(xp, ids, t):
    rows = xp.gather(t["t0"], ids // 2)
    return rows * rows - xp.gather(t["t1"], 49 - ids % 50)


def three_factors(xp, ids, t):
    a, b = xp.gather(t["t0"], ids % 50), xp.gather(t["t1"], ids // 2)
    return a * b * xp.gather(t["t0"], ids % 3) * 2.0 + (a + b) * (a - b)


def mixed_radix(xp, ids, t):
    return xp.concat(
        [xp.gather(t["t0"], ids % 5), xp.gather(t["t1"], ids // 5 % 5 + xp.minimum(ids, 9))]
    )


@needs_native
@pytest.mark.parametrize("compute", [twice, square, three_factors])
@pytest.mark.parametrize("combiner", [None, "mean"])
def test_methods_of_others_are_fused_for_nothing(compute, combiner):
    layer = Custom(compute=compute, combiner=combiner)
    layer.build(None)
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    variables = [v if isinstance(v, tf.Variable) else v.value for v in layer.trainable_variables]
    ids = rng.integers(0, 100, (6, 5))
    results = []
    for mode in ("reference", "native"):
        with use(mode), tf.GradientTape() as tape:
            vectors = layer(ids)
            loss = tf.reduce_sum(vectors * tf.cos(vectors))
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        results.append([vectors, *map(tf.convert_to_tensor, gradients)])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)
    assert layer._program is not None


def test_segments_of_different_widths():
    program = program_of(Custom(compute=mixed_radix, widths=(1, 3)))
    assert program.output_dim == 4 and program.updates_in_place


@pytest.mark.parametrize(
    ("compute", "says"),
    [
        (lambda xp, ids, t: xp.gather(t["t0"], ids), "outside the 50 rows"),
        (lambda xp, ids, t: xp.gather(t["t0"], ids % 7 - 1), "outside"),
        (lambda xp, ids, t: xp.gather(t["t0"], ids % 7.0), "uses float"),
        (lambda xp, ids, t: xp.gather(t["t0"], ids % 0), "less than 1"),
        (lambda xp, ids, t: xp.gather(t["t0"], ids * 2**50 % 7), "exact integers"),
        (lambda xp, ids, t: xp.maximum(xp.gather(t["t0"], ids % 7), 0), "maximum of vectors"),
        (lambda xp, ids, t: xp.gather(t["t0"], ids % 7) + 1, "with int"),
        (lambda xp, ids, t: xp.gather(t["t0"], xp.gather(t["t0"], ids % 7)), "arithmetic"),
        (lambda xp, ids, t: ids, "returns Index"),
        (
            lambda xp, ids, t: sum(
                (xp.gather(t["t0"], (ids + k) % 50) for k in range(1, 66)),
                xp.gather(t["t0"], ids % 50),
            ),
            "66 gathers",
        ),
        (
            lambda xp, ids, t: (
                xp.concat([xp.gather(t["t0"], ids % 2)] * 2)
                * xp.gather(t["t0"], ids % 2).__class__(())
            ),
            "other columns",
        ),
    ],
)
def test_what_cannot_be_fused_is_said(compute, says):
    with pytest.raises(UnsupportedOpError, match=says):
        program_of(Custom(compute=compute))


@needs_native
def test_a_method_that_cannot_be_fused_trains_on_plain_ops_and_says_so_once(monkeypatch):
    monkeypatch.setattr(selection, "_warned", set())
    layer = Custom(
        compute=lambda xp, ids, t: xp.where(ids[..., None] > 3, xp.gather(t["t0"], ids % 7), 0)
    )
    ids = np.array([1, 5])
    with pytest.warns(RuntimeWarning, match="Custom trains with plain TensorFlow ops.*indexes ids"):
        first = layer(ids, training=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(layer(ids, training=True), first)


def test_what_is_updated_in_place():
    assert program_of(MEmComEmbedding(100, 4, num_buckets=10, bias=True)).updates_in_place
    assert program_of(HashWeightedEmbedding(100, 4, num_buckets=10)).updates_in_place
    mult = QuotientRemainderEmbedding(100, 4, num_buckets=10)
    assert not program_of(mult).updates_in_place
    assert not program_of(Custom(compute=twice)).updates_in_place
    # Two tables by id that meet in a product must be updated by the same pass.
    across = Custom(
        compute=lambda xp, ids, t: (
            xp.gather(t["t0"], ids % 7) * xp.gather(t["t2"], ids)
            + xp.gather(t["t1"], ids // 3) * xp.gather(t["t3"], ids)
            + xp.gather(t["t2"], ids) * xp.gather(t["t3"], ids)
        ),
        widths=(4, 4, 1, 4),
        rows=100,
    )
    assert not program_of(across).updates_in_place


def test_index_arithmetic_knows_its_range():
    index = (Index(0, 99) * 3 - 50) % 7
    assert (index.low, index.high) == (0, 6)
    below = -Index(0, 99) // 8
    assert (below.low, below.high) == (-13, 0)
    assert Index(0, 99) % 100 == Index(0, 99) // 1 == Index(0, 99).minimum(99) == Index(0, 99)


# What reaches the ops by hand, past the layers.


def raw_lookup(**changes):
    table = tf.Variable(tf.ones([5, 4]))
    arguments = {
        "tables": [table.handle],
        "ids": tf.constant([[0, 1], [2, 4]]),
        "row_splits": tf.zeros([0], tf.int64),
        "weights": tf.zeros([0]),
        "T": tf.float32,
        "program": [5, 0, 1, 0, 4, 0, 1, 4, 1, 1, 0],
        "constants": [1.0],
        "output_dim": 4,
        "combiner": "sum",
        "ragged": False,
        "weighted": False,
        "mask_zero": False,
        "updates_in_place": True,
    } | changes
    return selection.library().memcom_lookup(**arguments)


@needs_native
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"program": []}, "well-formed"),
        ({"program": [5, 0, 1, 0, 4, 0, 1, 4, 1, 1, 1]}, "well-formed"),
        ({"program": [5, 0, 1, 1, 4, 0, 1, 4, 1, 1, 0]}, "well-formed"),
        ({"program": [2**62, 0, 1, 0, 4, 0, 1, 4, 1, 1, 0]}, "well-formed"),
        ({"constants": []}, "well-formed"),
        ({"output_dim": 5}, "output_dim"),
        ({"program": [6, 0, 1, 0, 4, 0, 1, 4, 1, 1, 0]}, "more than 5 rows"),
        ({"program": [5, 0, 1, 0, 3, 0, 1, 3, 1, 1, 0], "output_dim": 3}, "width 3"),
        ({"ids": tf.constant([[5]])}, r"\[0, 5\).*id=5 at position 0"),
        ({"ids": tf.constant(2)}, "axis"),
        ({"weighted": True}, "shape of the ids"),
        ({"ragged": True}, "row splits must not be empty"),
        ({"ragged": True, "row_splits": tf.constant([0, 9], tf.int64)}, "number of ids"),
        ({"ragged": True, "row_splits": tf.constant([0, 3, 1, 4], tf.int64)}, "must not fall"),
        ({"T": tf.bfloat16}, "bfloat16. Received: dtype=float"),
    ],
)
def test_hostile_input_is_refused_not_read(changes, says):
    with pytest.raises(tf.errors.OpError, match=says):
        raw_lookup(**changes)


@needs_native
def test_a_gradient_of_a_row_that_is_not_there_is_refused():
    table = tf.Variable(tf.ones([5, 4]))
    update = selection.library().memcom_sparse_update
    arguments = {"table": table.handle, "states": [], "rule": "sgd", "hyper": [0.1, 0.0]}
    values = tf.ones([2, 4])
    for unique in (True, False):
        for row in (-1, 5):
            indices = tf.constant([1, row], tf.int64)
            with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\[0, 5\).*row={row}"):
                update(indices=indices, values=values, unique=unique, **arguments)
    rows = tf.constant([1, 2])
    for wrong in ({"values": tf.ones([3, 4])}, {"hyper": [0.1]}, {"rule": "newton"}):
        with pytest.raises(tf.errors.InvalidArgumentError):
            update(**({"indices": rows, "values": values, "unique": True} | arguments | wrong))
    np.testing.assert_array_equal(table, np.ones((5, 4)))


def test_what_python_and_the_kernels_agree_on_is_read_from_one_file():
    from memcom_tf.kernels import program
    from memcom_tf.ops import symbols

    assert program._OPERATIONS[0] == "mod"
    assert {"div", "minimum", "subtract"} < set(program._OPERATIONS)
    assert program._MAX_SLOTS == 64
    assert 2 ** int(program._LIMITS["ExactBits"]) == symbols._LARGEST_INTEGER
