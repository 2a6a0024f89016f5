"""A file with one number changed is not proved, whichever number it is."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.converters import convert
from memcom_tf.converters.tflite import editing
from tests import mutations
from tests.conversion.test_any_model import functional, trained
from tests.damage import Sample, sealed
from tests.mutants import KINDS, constants, mutants


def left_over(seed):
    """The mutants of a model that `verify` does not find."""
    found = mutations.record(seed).get("mutants", [])
    return [one for one in found if one["result"] not in (mutations.CAUGHT, mutations.EQUIVALENT)]


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 5, *range(6, 40)])
def test_mutants_are_found(seed):
    """`python -m tests.mutations` tries as many as it is told."""
    assert left_over(seed) == []


@pytest.fixture(scope="module")
def content():
    return convert(trained(functional()), weights="int4", verify=False).content


def test_a_mutant_differs_in_one_constant(content):
    graph = Sample(content).graph
    every = constants(graph)
    found = mutants(content, 0)
    # Of a model with tables in 4 bits, kernels in 8, biases, and shapes.
    assert {mutant.kind for mutant in found} == {*KINDS, "activation"} - {"scale of a tensor"}
    for mutant in found:
        changed = Sample(mutant.content).graph
        if mutant.kind == "activation":
            assert changed != graph
            continue
        places = [i for i, (a, b) in enumerate(zip(graph, changed, strict=True)) if a != b]
        touched = [c for c in every if any(c.start <= i < c.start + c.size for i in places)]
        # Constants of the same bytes are stored once.
        assert len({(c.start, c.size) for c in touched}) == 1
        assert touched[0].start <= places[0] <= places[-1] < touched[0].start + touched[0].size


def test_what_nothing_reads_is_counted_apart(content):
    sample = Sample(content)
    model = schema.ModelT.InitFromPackedBuf(sample.graph, 0)
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.arange(8, dtype=np.uint8)
    tensor.shape, tensor.type = [2], schema.TensorType.FLOAT32
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.subgraphs[0].tensors.append(tensor)
    graph = editing.pack(model)
    unread = [constant for constant in constants(graph) if not constant.readers]
    assert [constant.size for constant in unread] == [8]
    changed = [mutants(sealed(graph, sample.members), seed) for seed in range(40)]
    flags = {m.is_equivalent for found in changed for m in found if m.kind == "float constant"}
    assert flags == {True, False}
