"""The bytes of flatbuffers that were changed."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from memcom_tf.converters import convert
from memcom_tf.converters.tflite import editing
from memcom_tf.layers import HashedEmbedding
from memcom_tf.models import NextItemRanker


def places(content):
    """Where the tables of the tensors and the vectors of their shapes are."""
    model = schema.Model.GetRootAs(content)
    graphs = [model.Subgraphs(index) for index in range(model.SubgraphsLength())]
    tensors = [graph.Tensors(index) for graph in graphs for index in range(graph.TensorsLength())]
    shapes = [tensor._tab.Vector(tensor._tab.Offset(4)) for tensor in tensors]
    return [tensor._tab.Pos for tensor in tensors], shapes


def test_equal_tensors_shapes_and_options_are_written_once():
    model = NextItemRanker(HashedEmbedding(40, 8, num_buckets=7), history_length=5)
    model.build_once()
    content = convert(model, k=5, verify=False).content
    graph = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = [tensor for subgraph in graph.subgraphs for tensor in subgraph.tensors]
    different = {editing.key_of(tensor) for tensor in tensors}
    at, shapes = places(content)
    assert len(set(at)) == len(different) < 0.7 * len(tensors)
    assert len(set(shapes)) <= len({tuple(tensor.shape) for tensor in tensors})

    again = editing.pack(graph)
    assert len(again) <= len(content)  # which has members behind it
    assert editing.key_of(schema.ModelT.InitFromPackedBuf(again, 0)) == editing.key_of(graph)
