"""Lookups whose rows are chosen by codes, on the fused ops and on plain ones."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.kernels import use
from memcom_tf.kernels.program import program_of
from memcom_tf.layers import CompositionalEmbedding, CompressedEmbedding, MEmComEmbedding, Table
from memcom_tf.layers import ResidualQuantizedEmbedding as Residual
from memcom_tf.ops.interface import UnsupportedOpError
from memcom_tf.optimizers import SGD
from tests.contract.methods import fill
from tests.native import needs_native

IDS, ROWS, CODES = 100, 9, 3


class Coded(CompressedEmbedding):
    """A method of somebody else, with tables of codes."""

    def __init__(self, *, compute, **kwargs):
        super().__init__(IDS, 4, **kwargs)
        self._compute = compute

    def tables(self):
        def initializer(shape, dtype=None, **kwargs):
            return tf.cast(tf.zeros(shape), dtype)

        return (
            Table.of_codes("codes", IDS, CODES, num_codes=ROWS, initializer=initializer),
            Table.of_index("index", IDS, CODES, num_values=2 * ROWS, initializer=initializer),
            Table("book", ROWS, 4),
            Table("long", 2 * ROWS, 4),
            Table("factor", IDS, 1),
            Table("factors", IDS, CODES),
        )

    def lookup(self, xp, ids, t):
        return self._compute(xp, ids, t)


def summed(xp, ids, t):
    """Rows that overlap between codes."""
    return xp.sum(xp.gather(t["book"], xp.gather(t["codes"], ids)))


def scaled(xp, ids, t):
    """A factor of each id beside the codes, and rows of a longer table."""
    rows = xp.gather(t["index"], ids)
    return summed(xp, ids, t) * xp.gather(t["factor"], ids) + xp.gather(t["long"], rows[..., 2])


def weighted(xp, ids, t):
    """A factor of each code, of another id's row."""
    factors = xp.gather(t["factors"], 99 - ids // 2)[..., None]
    return xp.sum(xp.gather(t["book"], xp.gather(t["codes"], ids)) * factors)


def chosen(xp, ids, t):
    """One code or the other, by the id, and codes of another id."""
    low = xp.gather(t["codes"], xp.minimum(ids, 49))
    high = xp.gather(t["index"], xp.maximum(ids - 50, 7))
    codes = xp.where((ids < 50)[..., None], low, high)
    return xp.gather(t["long"], codes[..., 0]) - xp.gather(t["long"], codes[..., 1])


def of_codes(xp, ids, t):
    """Codes of a code."""
    rows = xp.gather(t["index"], xp.gather(t["codes"], ids)[..., 1] + 5)
    return xp.sum(xp.gather(t["long"], rows)) * xp.gather(t["book"], ids % ROWS)


def computed(mode, layer, ids):
    variables = [v if isinstance(v, tf.Variable) else v.value for v in layer.trainable_variables]
    with use(mode), tf.GradientTape() as tape:
        vectors = layer(ids)
        loss = tf.reduce_sum(vectors * tf.cos(vectors))
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
    return [np.asarray(x) for x in (vectors, *map(tf.convert_to_tensor, gradients))]


@needs_native
@pytest.mark.parametrize("compute", [summed, scaled, weighted, chosen, of_codes])
@pytest.mark.parametrize("combiner", [None, "mean"])
def test_lookups_by_codes_are_those_of_the_plain_ops(compute, combiner):
    layer = fill(Coded(compute=compute, combiner=combiner))
    ids = np.random.default_rng(0).integers(0, IDS, (60, 7))
    for one, two in zip(*(computed(m, layer, ids) for m in ("reference", "native")), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)
    assert layer._program.codes


def test_a_program_names_the_codes_that_it_reads():
    assert program_of(Coded(compute=summed)).codes == ("codes",)
    assert program_of(Coded(compute=chosen)).codes == ("codes", "index")
    assert program_of(Coded(compute=scaled)).tables == ("book", "long", "factor")


def test_codes_of_many_books_fit_a_program():
    program = program_of(Residual(1000, 4, num_codebooks=32, num_buckets=7, num_dedicated=3))
    assert len(program.constants) == 33


@pytest.mark.parametrize(
    ("compute", "says"),
    [
        (lambda xp, ids, t: xp.gather(t["codes"], ids), "returns Integers"),
        (lambda xp, ids, t: xp.gather(t["codes"], ids)[0], "another axis of codes"),
        (lambda xp, ids, t: xp.gather(t["codes"], ids) * 2, "multiplies codes"),
        (lambda xp, ids, t: xp.gather(t["codes"], ids) + 0.5, "else than integers to codes"),
        (lambda xp, ids, t: xp.gather(t["codes"], ids + 1), "outside the 100 rows"),
        (lambda xp, ids, t: xp.gather(t["book"], xp.gather(t["codes"], ids) + 1), "outside the 9"),
        (lambda xp, ids, t: xp.sum(xp.gather(t["book"], ids % 9)), "an axis of its own"),
        (lambda xp, ids, t: xp.gather(t["book"], xp.gather(t["codes"], ids)), "SeveralVectors"),
        (lambda xp, ids, t: xp.where(ids < 5, xp.gather(t["book"], ids % 9), 0.0), "than codes"),
        (lambda xp, ids, t: xp.gather(t["book"], ids % 9)[..., 0], "indexes vectors"),
        (lambda xp, ids, t: (2.0 * xp.gather(t["book"], ids % 9))[..., None], "indexes vectors"),
        (lambda xp, ids, t: xp.gather(t["book"], ids % 9)[..., None] * 2.0, "by something else"),
        (
            lambda xp, ids, t: (
                xp.sum(xp.gather(t["factors"], ids)[..., None]) * xp.gather(t["factors"], ids)
            ),
            "rows of a table and single values",
        ),
        (lambda xp, ids, t: xp.where(ids > 5, ids, ids), "compares ids"),
        (lambda xp, ids, t: (ids < 5)[0], "indexes conditions"),
    ],
)
def test_what_of_codes_cannot_be_fused_is_said(compute, says):
    with pytest.raises(UnsupportedOpError, match=says):
        program_of(Coded(compute=compute))


@needs_native
@pytest.mark.parametrize("name", ["codes", "index"])
def test_a_code_beyond_its_book_is_named_and_not_read(name):
    def compute(xp, ids, t):
        return xp.sum(xp.gather(t["book"], xp.gather(t[name], ids)))

    layer = fill(Coded(compute=compute, combiner="sum"))
    variable = layer.variable(name)
    values = np.asarray(variable) % ROWS
    values[5, 1] = 200
    variable.assign(values)
    with use("native"):
        assert np.isfinite(layer(np.array([[4, 6]]), training=True)).all()
        for call in (layer.call, tf.function(layer.call)):
            with pytest.raises(
                tf.errors.InvalidArgumentError,
                match=r"Column 1 of table 0 .* in \[0, 9\).*code=200 of id=5.*assign_tables",
            ):
                call(tf.constant([[4, 6], [5, 5]]), training=True)


@needs_native
def test_an_index_below_zero_is_named():
    layer = fill(Coded(compute=scaled))
    values = np.asarray(layer.variable("index")).copy()
    values[70, 2] = -1
    layer.variable("index").assign(values)
    with use("native"), pytest.raises(tf.errors.InvalidArgumentError, match="code=-1 of id=70"):
        layer(np.array([1, 70]), training=True)


@needs_native
@pytest.mark.parametrize("compiled", [False, True])
def test_a_late_gradient_is_that_at_the_codes_of_the_lookup(compiled):
    layer = fill(Coded(compute=summed))
    book, codes = (layer.variable(name) for name in ("book", "codes"))
    before = np.asarray(codes)
    book = book if isinstance(book, tf.Variable) else book.value
    ids = tf.constant([3, 8, 3])

    def late():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(ids, training=True))
        codes.assign((codes + 1) % ROWS)
        return tf.convert_to_tensor(tape.gradient(total, book))

    wanted = np.zeros((ROWS, 4))
    np.add.at(wanted, before[ids.numpy()].reshape(-1), 1.0)
    with use("native"):
        np.testing.assert_array_equal((tf.function(late) if compiled else late)(), wanted)
    assert (np.asarray(codes) == (before + 1) % ROWS).all()


@needs_native
def test_rows_that_codes_do_not_choose_stay_as_they_are():
    layer = Residual.from_codes(np.array([[0, 1], [3, 1], [2, 0]]), 8, combiner="sum")
    optimizer = SGD(0.5, momentum=0.9)
    optimizer.build(layer.trainable_variables)
    before = layer.table_values()["codebooks"]
    with use("native"), tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([[0, 1, 1]]), training=True))
    with use("native"):
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    moved = (before - layer.table_values()["codebooks"])[:, 0]
    np.testing.assert_allclose(moved, [0.5, 0, 0, 1, 0, 1.5, 0, 0], atol=1e-6)


@needs_native
@pytest.mark.parametrize("sizes", [(4, 4), (3, 5)])
def test_given_classes_of_tables_of_different_sizes(sizes):
    classes = np.array([[i // sizes[1] % sizes[0], i % sizes[1]] for i in range(np.prod(sizes))])
    layer = fill(CompositionalEmbedding(len(classes), 4, partition="given", classes=classes))
    layer.assign_tables({**layer.table_values(), "classes": classes})
    ids = np.arange(len(classes))
    for one, two in zip(*(computed(m, layer, ids) for m in ("reference", "native")), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)
    assert layer._program.codes == ("classes",)


@needs_native
def test_graphs_that_were_saved_before_there_were_codes_run():
    layer = fill(MEmComEmbedding(IDS, 4, num_buckets=9, combiner="sum"))
    ids = tf.constant([[3, 99, 3]])
    with use("native"):
        function = tf.function(lambda x: layer(x, training=True)).get_concrete_function(ids)
    definition = function.graph.as_graph_def()
    (node,) = [n for n in definition.node if n.op == "Memcom>LookupAndSnapshot"]
    del node.attr["M"]
    graph = function.graph

    @tf.function
    def run():
        capture = tf.compat.v1.get_default_graph().capture
        given = [capture(tensor) for tensor in (ids, *graph.external_captures)]
        names = [tensor.name for tensor in (graph.inputs[0], *graph.internal_captures)]
        inputs = dict(zip(names, given, strict=True))
        return tf.graph_util.import_graph_def(definition, inputs, [graph.outputs[0].name])[0]

    np.testing.assert_allclose(run(), layer(ids), rtol=1e-5)
