"""From traced functions to the bytes of a `.tflite` file."""

from __future__ import annotations

import gc
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array

from ..quantization.quantize import QuantizedTable
from ..tracing.large import check_size, with_table_inputs
from .editing import MIN_RUNTIME_VERSION, drop_unused_buffers, pack
from .placing import put_tables
from .stable import with_stable_numbers

if TYPE_CHECKING:
    from ..preparation.prepared import Prepared

_LARGE = 2**26
"""Bytes of tables of which garbage is not kept longer than it must be."""
_LOCATION = re.compile(r'fused\["(\w+):", "([^"@]+)@')
"""In the converter's messages: an operator, and the node of the graph that it is of."""


class Converted(NamedTuple):
    """What TensorFlow's converter wrote, and the tables that it saw as inputs."""

    content: bytes
    tables: Sequence[Array] = ()


def convert_signatures(signatures: dict[str, Any], prepared: Prepared) -> Converted:
    """Converts functions of a model to one file, float where the functions are.

    Args:
        signatures: `tf.function`s with input signatures, by name.
        prepared: The model whose variables they read.

    Returns:
        A flatbuffer with one signature for each function, without the tables.

    Raises:
        ValueError: If the functions cannot be expressed in builtin operators.
    """
    traced = {
        name: with_stable_numbers(f.get_concrete_function()) for name, f in signatures.items()
    }
    concrete, tables = with_table_inputs(traced)
    module = tf.Module()
    # The SavedModel must own what the functions capture, and should own nothing else.
    captured = {id(value) for f in concrete.values() for value in f.captured_inputs}
    module.captured = [
        variable
        for variable in prepared.source.variables.values()
        if id(variable.handle) in captured
    ]
    module.functions = list(concrete.values())
    check_size(tables, module.captured)
    with tempfile.TemporaryDirectory() as directory:
        with _warnings_alone():
            tf.saved_model.save(module, directory, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.exclude_conversion_metadata = True  # which is dropped, and costs a second pass
        try:
            with _old_garbage_kept(prepared):
                return Converted(bytes(converter.convert()), tables)
        # Its own errors have no public name, and derive from nothing else.
        except Exception as error:
            raise invalid(
                "The model must be expressible in the builtin operators of TensorFlow Lite, whose "
                f"converter cannot write {_refused(str(error))}.",
                prepared.instead_of_what_is_refused,
                model=prepared.source.name,
            ) from error


@contextmanager
def _warnings_alone() -> Iterator[None]:
    """In a notebook TensorFlow says where it writes: to a folder of ours, which is gone at once."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _old_garbage_kept(prepared: Prepared) -> Iterator[None]:
    """Spares the objects of the whole program the collection of garbage by the converter.

    It ends every conversion, and looks at all that there is: tenths of a second, and more in a
    larger program. Of large tables it is welcome.
    """
    is_small = sum(table.data.nbytes for table in prepared.tables) < _LARGE
    if gc.get_freeze_count() or not is_small:
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _refused(message: str) -> str:
    """The operator and the layer that the converter's message is about, else its first line."""
    if found := _LOCATION.search(message):
        operator, node = found.groups()
        return f"{operator} of {node.removeprefix('frozen/')}"
    return message.strip().partition("\n")[0]


def finish(converted: Converted, tables: Sequence[QuantizedTable]) -> bytes:
    """Puts the tables where the graph was traced with inputs, and trims the file.

    EMBEDDING_LOOKUP takes the place of lookups in a stand-in. FULLY_CONNECTED over an int8 table
    was traced with floats, into which the table is cast. Its weights become the integers, which
    lookups read too, and the runtime multiplies in 8 bits. Names of inner tensors, which nothing
    reads, are left out.

    Args:
        converted: What `convert_signatures` returned.
        tables: The quantized tables in it.

    Returns:
        The flatbuffer with the tables.

    Raises:
        ValueError: If the converter made something else of a lookup or a product.
    """
    model = schema.ModelT.InitFromPackedBuf(converted.content, 0)
    put_tables(model, converted.tables, tables)
    for graph in model.subgraphs:
        _trim(graph)
    _drop_metadata(model, keep=MIN_RUNTIME_VERSION)
    drop_unused_buffers(model)
    return pack(model)


def scores_in_integers(content: bytes) -> bool:
    """Whether a finished graph multiplies a float query with an int8 table."""
    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(i).BuiltinCode() for i in range(model.OperatorCodesLength())]
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            if codes[operator.OpcodeIndex()] == schema.BuiltinOperator.FULLY_CONNECTED:
                weights = graph.Tensors(operator.Inputs(1))
                if weights.Type() == schema.TensorType.INT8:
                    return True
    return False


def runtime_version(content: bytes) -> str:
    """The oldest TensorFlow Lite that runs a file, as the converter recorded it."""
    model = schema.Model.GetRootAs(content, 0)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == MIN_RUNTIME_VERSION:
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).rstrip(b"\0").decode()
    return "unknown"


def _trim(graph: Any) -> None:
    """Drops what no runtime reads: names of inner tensors, and quantization that says nothing."""
    outside = {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
        if index not in outside:
            tensor.name = None
        if tensor.quantization is not None and tensor.quantization.scale is None:
            tensor.quantization = None


def _drop_metadata(model: Any, keep: bytes) -> None:
    model.metadata = [entry for entry in model.metadata if entry.name == keep]
