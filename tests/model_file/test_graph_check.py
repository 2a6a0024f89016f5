"""Graphs that end the process of the runtime, or could, and are refused before it sees them."""

from __future__ import annotations

import struct

import pytest

from memcom_tf.converters.graph_check.check import check
from memcom_tf.converters.graph_check.flatbuffer import DamagedError, FlatBuffer
from memcom_tf.converters.graph_check.graph import Graph, Operator, Subgraph, Tensor

ADD, GATHER, RESHAPE, NOT_EQUAL, WHILE, CUSTOM = 0, 36, 22, 72, 119, 32
EMBEDDING_LOOKUP = 7


def tensor(dtype="float32", shape=(2,), size=0):
    return Tensor(dtype, shape, tuple(abs(n) for n in shape), 8, size, False)


def checked(operators, tensors, outputs=(2,)):
    operators = [Operator(*operator, 0, None) for operator in operators]
    check(Graph([Subgraph(tensors, (0,), outputs, operators)], {}))


FLOATS = [tensor(), tensor(size=8), tensor()]


def test_a_sound_graph_passes():
    checked([(ADD, (0, 1), (2,))], FLOATS)
    checked([(RESHAPE, (0,), (2,))], FLOATS)


@pytest.mark.parametrize(
    ("operators", "words"),
    [
        ([(RESHAPE, (0, -1), (2,))], "not Ti~>T"),  # crashed the runtime
        ([(ADD, (0, -1), (2,))], "not TT>T"),  # crashed the runtime
        ([(ADD, (0,), (2,))], "not TT>T"),
        ([(GATHER, (0, 1), (2,))], "not TI>T"),
        ([(NOT_EQUAL, (0, 1), (2,))], "not TT>b"),
        ([(EMBEDDING_LOOKUP, (0, 1), (2,))], "not iQ>F"),
        ([(CUSTOM, (0,), (2,))], "not supported"),
        ([(ADD, (0, 2), (2,))], "not computed yet"),
        ([(ADD, (0, 1), (1,)), (ADD, (0, 1), (2,))], "there already"),
        ([(ADD, (0, 1), (0,)), (ADD, (0, 1), (2,))], "there already"),
        ([], "an output is not computed"),
        ([(WHILE, (0,), (2,))], "names no subgraph"),
    ],
)
def test_what_a_kernel_would_trust_is_refused(operators, words):
    with pytest.raises(DamagedError, match=words):
        checked(operators, FLOATS)


@pytest.mark.parametrize("dtype", ["int8", "int4", "int2", "float32"])
def test_embedding_lookup_reads_the_types_that_its_kernel_has(dtype):
    ids, rows = tensor("int32", (3,)), tensor(dtype, (2, 4), size=8)
    checked([(EMBEDDING_LOOKUP, (0, 1), (2,))], [ids, rows, tensor()])
    wrong = tensor("int16", (2, 4), size=16)
    with pytest.raises(DamagedError, match="not iQ>F"):
        checked([(EMBEDDING_LOOKUP, (0, 1), (2,))], [ids, wrong, tensor()])


@pytest.mark.parametrize(("dtype", "size"), [("int2", 2), ("int4", 3), ("int8", 5), ("int16", 10)])
def test_packed_tensors_fill_whole_bytes(dtype, size):
    assert tensor(dtype, (5,)).num_bytes == size


def test_tensors_beyond_memory_are_refused():
    with pytest.raises(DamagedError, match="its tensors take 4000000008 bytes"):
        checked([(ADD, (0, 1), (2,))], [*FLOATS[:2], tensor(shape=(10**9,))])
    many = [tensor(shape=(10**8,)) for _ in range(20)]
    with pytest.raises(DamagedError, match="its tensors take"):
        checked([], many, outputs=(0,))


def test_offsets_that_lead_outside_or_back_are_refused():
    # The root is at byte 8; its layout is 4 bytes before, and has one field, at byte 4 of it.
    layout = struct.pack("<3H", 6, 8, 4)
    start = struct.pack("<I", 12) + bytes(2) + layout
    back = struct.pack("<iI", 6, 2**32 - 1)
    table = FlatBuffer(memoryview(start + back)).root
    for reading in (table.table, table.integers, table.tables, table.text):
        with pytest.raises(DamagedError, match=r"(is|are|starts) at byte"):
            reading(0)
    with pytest.raises(DamagedError, match="a table starts at byte 4294967295 of 4"):
        _ = FlatBuffer(memoryview(b"\xff" * 4)).root


def test_one_place_that_is_referred_to_again_and_again_is_refused():
    """A short file may name one long vector a million times."""
    layout = struct.pack("<3H", 6, 8, 4)
    start = struct.pack("<I", 12) + bytes(2) + layout
    vector = struct.pack("<iII100i", 6, 4, 100, *range(100))
    table = FlatBuffer(memoryview(start + vector)).root
    with pytest.raises(DamagedError, match="again and again"):
        for _ in range(10):
            assert table.integers(0) == tuple(range(100))
