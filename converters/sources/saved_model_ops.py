"""The operators of a SavedModel, read before it is loaded: loading runs some of them.

A SavedModel is a program: initializers of its tables run while it is loaded, its functions while
it is converted. TensorFlow has operators that write files, open connections or call Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tensorflow.python.framework import op_def_registry
from tensorflow.python.saved_model import loader_impl

from memcom_tf.errors import for_reader, invalid
from memcom_tf.text import printable_list

# An operator is harmless if TensorFlow declares it stateless, and it takes, gives and names
# nothing but numbers: no path, address or program can be told to it. These are harmless as well.
_HARMLESS = re.compile(
    "|".join(
        (
            # Variables and tables; what reads a checkpoint or the lines of a vocabulary.
            r"VarHandleOp|VariableV2|Variable|VarIsInitializedOp|ReadVariableOp|VariableShape",
            r"Assign(Add|Sub)?(VariableOp)?|IsVariableInitialized|DestroyResourceOp",
            r"DisableCopyOnRead|Resource(Gather(Nd)?|Scatter\w+|StridedSliceAssign|CountUpTo)",
            r"ResourceGather|(Anonymous)?(Mutable)?(Dense)?HashTable(OfTensors)?(V2)?",
            r"LookupTable\w+|InitializeTable(FromTextFile)?(V2)?|RestoreV2|ShardedFilename",
            # Calls and control flow, whose functions are looked at as well.
            r"(Stateful)?PartitionedCall|(Stateless)?(If|While|Case)|Placeholder(V2|WithDefault)?",
            r"Enter|RefEnter|Assert|CheckNumerics(V2)?|PreventGradient|NoOp|Const|GuaranteeConst",
            # Random numbers.
            r"Random(StandardNormal|Uniform|UniformInt|Gamma|Poisson(V2)?|Shuffle)|Multinomial",
            r"TruncatedNormal|ParameterizedTruncatedNormal|Rng(ReadAnd)?Skip|StatelessRandomGetAlg",
            r"Stateful(StandardNormal(V2)?|TruncatedNormal|Uniform(FullInt|Int)?|RandomBinomial)",
            # Texts, lists and ragged tensors in memory.
            r"AsString|Decode(Raw|PaddedRaw|CSV|JSONExample|Base64)|EncodeBase64|ReduceJoin",
            r"Parse(Single)?(Sequence)?Example(V2)?|ParseTensor|SerializeTensor|Substr",
            r"RegexFullMatch|RegexReplace|StaticRegex(FullMatch|Replace)|UnsortedSegmentJoin",
            r"String(Format|Join|Length|Lower|Upper|NGrams|Split|SplitV2|Strip)|Unicode\w+",
            r"StringToHashBucket(Fast|Strong)?|StringToNumber|RaggedTensor\w+|RaggedCross",
            r"(Empty)?Tensor(List|Map)\w*|TensorArray\w*|Optional(FromValue|GetValue|HasValue|None)",
            # Those whose texts only say how to compute.
            r"Einsum|GatherNd|ScatterNd\w*|TensorScatter\w+|DataFormat(DimMap|VecPermute)",
            r"ScaleAndTranslate(Grad)?|Fingerprint|SparseCrossV2|(Dense|Sparse)To\w+SetOperation",
            r"ImageProjectiveTransformV[23]|Memcom>\w+",
        )
    )
)
_REACHES_OUT = re.compile(r"Xla|TPU|_|Collective|Nccl|Infeed|Outfeed|Host|Recv|Send|Remote|Abort")
_TEXT_TYPES = (7, 20, 21)  # DT_STRING, DT_RESOURCE, DT_VARIANT


def require_harmless(path: Path) -> None:
    """Requires that no operator of a SavedModel reaches further than its own variables and tables.

    Args:
        path: The folder.

    Raises:
        ValueError: Naming the operators that do, or that are not known.
        OSError: If the folder holds no SavedModel.
    """
    found = unsafe_operators(loader_impl.parse_saved_model(str(path)))
    if found:
        raise invalid(
            "The SavedModel must compute with its variables and tables alone, but it has "
            f"operators that may write files or run code: {printable_list(found)}.",
            "If you trust where it comes from, "
            + for_reader(
                "pass allow_unsafe_deserialization=True.", "add --allow-unsafe-deserialization."
            ),
            path=str(path),
        )


def unsafe_operators(saved_model: Any) -> list[str]:
    """Names of a SavedModel's operators that may reach out of the process, sorted.

    What only the saver calls, to write a checkpoint again, is left out: nothing here saves.

    Args:
        saved_model: The `SavedModel` message.
    """
    found: set[str] = set()
    for meta_graph in saved_model.meta_graphs:
        graph = meta_graph.graph_def
        functions = {f.signature.name: f for f in graph.library.function}
        only_saving = _only_saving(meta_graph)
        nodes = [node for node in graph.node if node.name not in only_saving]
        run = {*meta_graph.object_graph_def.concrete_functions}
        run |= _called(nodes, functions)
        of_saver = _called([n for n in graph.node if n.name in only_saving], functions) - run
        for name, function in functions.items():
            if name not in of_saver:
                nodes += function.node_def
        found.update(node.op for node in nodes if node.op not in functions)
    return sorted(name for name in found if not _is_harmless(name))


def _is_harmless(name: str) -> bool:
    if _HARMLESS.fullmatch(name):
        return True
    declared = op_def_registry.get(name)
    if declared is None or declared.is_stateful or _REACHES_OUT.match(name):
        return False
    tells = any(
        attr.type in ("string", "list(string)", "func", "list(func)")
        and not attr.HasField("allowed_values")
        for attr in declared.attr
    )
    takes = any(arg.type in _TEXT_TYPES for arg in (*declared.input_arg, *declared.output_arg))
    return not tells and not takes


def _only_saving(meta_graph: Any) -> set[str]:
    """Nodes that the saver needs to write a checkpoint, and nothing else needs."""
    by_name = {node.name: node for node in meta_graph.graph_def.node}
    saver = meta_graph.saver_def
    saving = _node_of(saver.save_tensor_name)
    needed = _behind([saving], by_name)
    other = [saver.restore_op_name, saver.filename_tensor_name]
    for signature in meta_graph.signature_def.values():
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            other += [tensor.name, tensor.coo_sparse.values_tensor_name]
    for collection in meta_graph.collection_def.values():
        other += collection.node_list.value
    # Who else reads one of them keeps all that is behind it.
    other += [name for name in by_name if name not in needed]
    return needed - _behind(map(_node_of, other), by_name)


def _behind(names: Iterable[str], by_name: dict[str, Any]) -> set[str]:
    waiting, seen = [name for name in names if name in by_name], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            sources = map(_node_of, by_name[name].input)
            waiting += [source for source in sources if source in by_name]
    return seen


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _called(nodes: Iterable[Any], functions: dict[str, Any]) -> set[str]:
    """Functions that nodes call, and those that these call."""
    waiting, seen = list(_references(nodes)), set()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in seen:
            seen.add(name)
            waiting += _references(functions[name].node_def)
    return seen


def _references(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        yield node.op
        for value in node.attr.values():
            yield value.func.name
            yield from (function.name for function in value.list.func)
