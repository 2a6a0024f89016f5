"""Whether a graph may be given to the runtime, which trusts more than a stranger's file deserves.

LiteRT checks the offsets of a flatbuffer and the indices of tensors; its kernels take the types
of tensors as they are, and memory is had as shapes ask for it.
"""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import Path

from memcom_tf.errors import invalid

from .flatbuffer import DamagedError
from .graph import Graph, Subgraph, Tensor, read_graph
from .known_graph import LARGEST_SUBGRAPH, LARGEST_TENSOR, is_known_to_be_safe
from .operators import called_subgraphs, check_types


def check_graph(path: Path, graph_bytes: int) -> Graph:
    """Reads the graph of a file and requires that it is sound.

    Args:
        path: The `.tflite` file.
        graph_bytes: The size of the flatbuffer at its start.

    Returns:
        The graph.

    Raises:
        ValueError: If an offset, index, size or type is not what the schema and the operators
            ask for, if a tensor is read before it is computed, if subgraphs call themselves, or
            if the tensors would not fit into memory.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        data = view[:graph_bytes]
        try:
            graph = read_graph(data)
            check(graph)
            # Here, where options can still be read.
            graph = replace(graph, is_known_to_be_safe=is_known_to_be_safe(graph))
        except DamagedError as error:
            raise invalid(
                f"The graph of the file must be intact, but {error}.",
                "Convert the model again, or copy the file again.",
                path=str(path),
            ) from error
        finally:
            data.release()
            view.release()
    return graph


def check(graph: Graph) -> None:
    """Requires that a graph is sound; raises `DamagedError`."""
    for subgraph in graph.subgraphs:
        _check_subgraph(subgraph)
    _require_no_recursion(graph)


def _check_subgraph(subgraph: Subgraph) -> None:
    tensors = subgraph.tensors
    total = 0
    for tensor in tensors:
        size = 0 if tensor.size else tensor.num_bytes
        total += size
        if size > LARGEST_TENSOR or total > LARGEST_SUBGRAPH:
            raise DamagedError(f"its tensors take {total} bytes")
    known = {place for place, tensor in enumerate(tensors) if _is_known(tensor)}
    constants = frozenset(known)
    if constants & {*subgraph.inputs} or len({*subgraph.inputs}) < len(subgraph.inputs):
        raise DamagedError(f"a subgraph has the inputs {subgraph.inputs[:5]}")
    known.update(subgraph.inputs)
    known.add(-1)
    for operator in subgraph.operators:
        if not known.issuperset(operator.inputs):
            raise DamagedError(f"operator {operator.code} reads what is not computed yet")
        if not known.isdisjoint(operator.outputs):
            raise DamagedError(f"operator {operator.code} writes what is there already")
        check_types(operator, tensors)
        known.update(operator.outputs)
    if not known.issuperset(subgraph.outputs):
        raise DamagedError("an output is not computed")


def _is_known(tensor: Tensor) -> bool:
    return bool(tensor.size or tensor.is_variable or tensor.num_bytes == 0)


def _require_no_recursion(graph: Graph) -> None:
    calls = [
        {called for operator in subgraph.operators for called in called_subgraphs(operator)}
        for subgraph in graph.subgraphs
    ]
    finished: set[int] = set()
    while len(finished) < len(calls):
        ready = {place for place, called in enumerate(calls) if called <= finished} - finished
        if not ready:
            raise DamagedError("its subgraphs call themselves, or what is not there")
        finished |= ready
