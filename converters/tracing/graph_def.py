"""Graphs of TensorFlow: imported into functions, and with other nodes in place of some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.eager import context

from memcom_tf.ops.interface import Array


def outputs_of(function: Any) -> dict[str, str]:
    """Names of the tensors that a concrete function returns, by the names of its outputs."""
    names = sorted(function.structured_outputs)
    return dict(zip(names, (tensor.name for tensor in function.outputs), strict=True))


def function_of(
    graph_def: Any,
    placeholders: Sequence[str],
    specs: Sequence[Any],
    captures: Mapping[str, Array],
    outputs: Mapping[str, str],
    scope: str = "",
) -> Any:
    """A function over a graph.

    Args:
        graph_def: The graph.
        placeholders: Names of its inputs.
        specs: What the function takes for them.
        captures: What other placeholders are, from outside of the function.
        outputs: Names of the tensors that it returns, by name.
        scope: What the names of its nodes start with.

    Returns:
        A `tf.function`.
    """

    @tf.function(input_signature=list(specs), autograph=False)
    def run(*inputs: Array) -> dict[str, Array]:
        named = dict(zip(placeholders, inputs, strict=True))
        found = import_graph(graph_def, named, captures, list(outputs.values()), scope)
        return dict(zip(outputs, found, strict=True))

    return run


class Replacement(NamedTuple):
    """What takes the place of a node.

    Attributes:
        node: Its name.
        sources: The tensors that it is computed from, as another node names them.
        compute: Computes its only output from these tensors.
        width: The first tensor's last dimension, where the graph may not know it.
    """

    node: str
    sources: Sequence[str]
    compute: Callable[..., Array]
    width: int | None = None


def replaced(
    graph: Any, captures: Mapping[str, Any], replacements: Iterable[Replacement]
) -> tuple[Any, dict[str, Any]]:
    """A graph with other nodes in place of some.

    Args:
        graph: The `tf.Graph`.
        captures: What it captures, by the names of placeholders.
        replacements: What takes the place of which node.

    Returns:
        The graph's definition, and what it captures with what the replacements do.
    """
    graph_def, captures = graph.as_graph_def(), dict(captures)
    nodes = {node.name: node for node in graph_def.node}
    for replacement in replacements:
        specs = []
        for place, name in enumerate(replacement.sources):
            source = graph.get_tensor_by_name(tensor_name(name))
            shape = source.shape
            if replacement.width is not None and place == 0:
                shape = [*shape[:-1], replacement.width]
            specs.append(tf.TensorSpec(shape, source.dtype, name=f"x{place}"))
        traced = tf.function(
            replacement.compute, input_signature=specs, autograph=False
        ).get_concrete_function()
        prefix = f"{replacement.node}/replaced/"
        inputs = traced.inputs[: len(specs)]
        sources = {x.op.name: name for x, name in zip(inputs, replacement.sources, strict=True)}
        graph_def.node.extend(_moved(traced.graph.as_graph_def().node, sources, prefix))
        for value, placeholder in traced.graph.captures:
            captures[prefix + placeholder.op.name] = value
        node, (output,) = nodes[replacement.node], traced.outputs
        controls = [name for name in node.input if name.startswith("^")]
        node.Clear()
        node.op, node.name = "Identity", replacement.node
        node.input.extend([sources.get(output.op.name, prefix + output.name), *controls])
        node.attr["T"].type = output.dtype.as_datatype_enum
    return graph_def, captures


def _moved(nodes: Iterable[Any], sources: Mapping[str, str], prefix: str) -> Iterator[Any]:
    """Nodes under new names, which read `sources` instead of the placeholders of that name."""
    for node in nodes:
        if node.name in sources:
            continue
        copy = tf.compat.v1.NodeDef()
        copy.CopyFrom(node)
        copy.name = prefix + node.name
        for place, name in enumerate(node.input):
            if node_of(name) in sources:
                copy.input[place] = sources[node_of(name)]
            elif name.startswith("^"):
                copy.input[place] = f"^{prefix}{name[1:]}"
            else:
                copy.input[place] = prefix + name
        yield copy


def node_of(name: str) -> str:
    """Name of the node that an input is of."""
    return name.lstrip("^").partition(":")[0]


def tensor_name(name: str) -> str:
    """Name of the tensor that an input is."""
    return name if ":" in name else f"{name}:0"


def import_graph(
    graph_def: Any,
    inputs: Mapping[str, Array],
    captures: Mapping[str, Array],
    outputs: Sequence[str],
    name: str,
) -> list[Array]:
    """Puts a graph into the function that is traced.

    Args:
        graph_def: The graph.
        inputs: What its placeholders are, by name.
        captures: The same from outside of the function.
        outputs: Names of the tensors that are returned.
        name: What the names of its nodes start with.

    Returns:
        The tensors of `outputs`.
    """
    # What nothing depends on may not be mapped, and variables that nothing reads stay outside.
    given = {f"{key}:0": x for key, x in inputs.items()}
    computed = [name for name in outputs if tensor_name(name) not in given]
    read = _nodes_behind(graph_def, computed)
    aliases = _aliases(graph_def)
    kept = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    kept.node.extend(
        node for node in graph_def.node if node.name in read.difference(inputs, captures, aliases)
    )
    for node in chain(kept.node, *(function.node_def for function in kept.library.function)):
        node.attr.pop("_gradient_op_type", None)  # a gradient that this process may not know
    # Nothing is written, so that no order has to be kept; nor has nearness to what was left out.
    for node in kept.node:
        node.attr.pop("_class", None)
        data = [aliases.get(source, source) for source in node.input if source[0] != "^"]
        del node.input[:]
        node.input.extend(data)
    _define(kept.library.function)
    graph = tf.compat.v1.get_default_graph()
    found = {**inputs, **{key: graph.capture(captures[key]) for key in captures if key in read}}
    tensors = tf.graph_util.import_graph_def(
        kept,
        input_map={f"{key}:0": x for key, x in found.items() if key in read},
        return_elements=computed,
        name=name,
    )
    given.update(zip(map(tensor_name, computed), tensors, strict=True))
    return [given[tensor_name(name)] for name in outputs]


def _define(functions: Iterable[Any]) -> None:
    """Defines the functions that control flow calls by name, where they are to be run."""
    known = context.context()
    for function in functions:
        if not known.has_function(function.signature.name):
            known.add_function_def(function)


def _aliases(graph_def: Any) -> dict[str, str]:
    """Other names of variables, under which TensorFlow's converter does not know them."""
    resource = tf.resource.as_datatype_enum
    found = {
        node.name: node.input[0]
        for node in graph_def.node
        if node.op == "Identity" and node.attr["T"].type == resource
    }

    def variable(name: str) -> str:
        while name in found:
            name = found[name]
        return name

    return {name: variable(name) for name in found}


def _nodes_behind(graph_def: Any, outputs: Sequence[str]) -> set[str]:
    """Names of the nodes whose values tensors are computed from."""
    sources = {node.name: node.input for node in graph_def.node}
    waiting, found = list(outputs), set()
    while waiting:
        name = waiting.pop().partition(":")[0]
        if name not in found and not name.startswith("^"):
            found.add(name)
            waiting += sources[name]
    return found
