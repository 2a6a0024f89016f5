"""Integers and booleans that follow from scores: which of them two runtimes may decide otherwise.

The ids of a top k, the class of an argmax and a score above a threshold are exact numbers made of
inexact ones. Where two scores are equal up to rounding, either id is right. Everything else has to
be equal. So the scores behind an integer are found in the graph, and an integer that differs is
held against the score that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

_COMPARISONS = ("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual")
_ARGUMENTS = ("ArgMax", "ArgMin")
_SAME = ("Identity", "StopGradient", "Snapshot", "PreventGradient")
_PLACED = ("Reshape", "ExpandDims", "Squeeze", "StridedSlice", "Slice", "Transpose")
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "AddV2": np.add,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
}
_MOST_COMPARED = 10_000

Nodes = Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """Where an integer output is decided, and what becomes of it.

    Attributes:
        node: The node that decides: a top k, an argmax, a comparison, or a cast of a float.
        sources: Tensors of floats that it decides by.
        chosen: The tensor that it gives.
        steps: The nodes from there to the output, in order.
        tensors: What else these read, by name.
    """

    node: Any
    sources: tuple[str, ...]
    chosen: str
    steps: tuple[Any, ...]
    tensors: tuple[str, ...] = field(default=())

    @property
    def fetched(self) -> list[str]:
        """Tensors whose values `is_tie` needs."""
        return list(dict.fromkeys([*self.sources, self.chosen, *self.tensors]))


def decision_behind(nodes: Nodes, tensor: str) -> Decision | None:
    """Finds what decided an integer output.

    Args:
        nodes: The nodes of a frozen graph, by name.
        tensor: The output.

    Returns:
        The decision; None where the integers follow from no floats, or in a way not known here.
    """
    steps: list[Any] = []
    name = tensor
    while True:
        node = nodes.get(_node_of(name))
        if node is None:
            return None
        inputs = [source for source in node.input if not source.startswith("^")]
        if sources := _sources(nodes, node, name, inputs):
            others = [x for step in steps for x in step.input if not x.startswith("^")]
            tensors = tuple(dict.fromkeys(map(_tensor, others)))
            return Decision(node, sources, _tensor(name), tuple(reversed(steps)), tensors)
        place = _data_input(nodes, node, inputs)
        if place is None:
            return None
        steps.append(node)
        name = inputs[place]


def _sources(nodes: Nodes, node: Any, name: str, inputs: list[str]) -> tuple[str, ...]:
    floats = tf.float32.as_datatype_enum
    if node.op == "TopKV2" and name.endswith(":1"):
        return (_tensor(inputs[0]),)
    if node.op in _ARGUMENTS and node.attr["T"].type == floats:
        return (_tensor(inputs[0]),)
    if node.op in _COMPARISONS and node.attr["T"].type == floats:
        return (_tensor(inputs[0]), _tensor(inputs[1]))
    if node.op == "Cast" and node.attr["SrcT"].type == floats and node.attr["DstT"].type != floats:
        return (_tensor(inputs[0]),)
    return ()


def _data_input(nodes: Nodes, node: Any, inputs: list[str]) -> int | None:
    """Which input of a node its output is made of; None where it is made of several."""
    if node.op in (*_SAME, *_PLACED, "Cast"):
        return 0
    if node.op == "GatherV2":  # of ids by their places
        return 1
    if node.op in ("SelectV2", "Select"):  # as `keras.ops.take` counts negative ids from the end
        return 2
    if node.op in _ARITHMETIC:
        constant = [_is_constant(nodes, name) for name in inputs]
        return constant.index(False) if constant.count(False) == 1 else None
    return None


def _is_constant(nodes: Nodes, name: str) -> bool:
    node = nodes.get(_node_of(name))
    while node is not None and node.op in _SAME:
        node = nodes.get(_node_of(node.input[0]))
    return node is not None and node.op == "Const"


def differences(
    decision: Decision | None,
    outputs: Mapping[str, np.ndarray],
    wanted: np.ndarray,
    found: np.ndarray,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Which integers of an output differ, and which of them for nearly equal scores.

    Args:
        decision: What decided them; None where nothing is known to have.
        outputs: Values of `decision.fetched`.
        wanted: The output that these belong to.
        found: The other.
        tolerance: How much scores may differ, relative to how they are spread.

    Returns:
        Booleans of the output's shape, twice: those that differ otherwise, and for equal scores.
    """
    if wanted.shape != found.shape:
        return np.ones(found.shape, bool), np.zeros(found.shape, bool)
    differ = wanted != found
    ties = np.zeros(wanted.shape, bool)
    if decision is not None and differ.any():
        allowed = undecided(decision, outputs, wanted, found, tolerance)
        ties = ties if allowed is None else differ & allowed
    return differ & ~ties, ties


def undecided(
    decision: Decision,
    fetched: Mapping[str, np.ndarray],
    wanted: np.ndarray,
    found: np.ndarray,
    tolerance: float,
) -> np.ndarray | None:
    """Where two runtimes may give other integers than each other.

    Args:
        decision: What decided the output.
        fetched: Values of `decision.fetched` in the reference.
        wanted: The output of the reference.
        found: The output of the file.
        tolerance: How much scores may differ, relative to how they are spread.

    Returns:
        bool of the output's shape: the integers that differ for nearly equal scores. None where
        the steps from the decision to the output cannot be followed.
    """
    chosen = np.asarray(fetched[decision.chosen])
    try:
        places = _follow(decision, fetched, np.arange(chosen.size).reshape(chosen.shape), True)
    except (ValueError, TypeError, IndexError, KeyError, tf.errors.OpError):
        return None
    if places.shape != wanted.shape:
        return None
    sources = [np.asarray(fetched[name], np.float64) for name in decision.sources]
    allowed = tolerance * _spread(sources[0])

    def value_of(integers: np.ndarray) -> np.ndarray:
        return _follow(decision, fetched, integers, False)

    try:
        if not np.array_equal(value_of(chosen.reshape(-1)[places]), wanted):
            return None
        if decision.node.op in _COMPARISONS:
            return _close_to_equal(sources, places, allowed)
        if decision.node.op == "Cast":
            return _close_to_cast(sources[0], places, found, allowed, value_of)
        return _ties(sources[0], chosen, places, wanted, found, allowed, value_of)
    except (ValueError, TypeError, IndexError, tf.errors.OpError):
        return None


def _follow(
    decision: Decision, fetched: Mapping[str, np.ndarray], x: np.ndarray, places: bool
) -> np.ndarray:
    """What the steps make of places, moved as the integers are, or of integers themselves."""
    for step in decision.steps:
        inputs = [name for name in step.input if not name.startswith("^")]
        others = [fetched.get(_tensor(name)) for name in inputs]
        if step.op in _PLACED:
            x = _moved(step, x, others) if places else x
        elif not places:
            x = _computed(step, x, others)
    return np.asarray(x)


def _moved(step: Any, x: np.ndarray, others: list[Any]) -> np.ndarray:
    if step.op == "Reshape":
        return np.reshape(x, others[1])
    if step.op == "ExpandDims":
        return np.expand_dims(x, int(others[1]))
    if step.op == "Squeeze":
        axes = tuple(step.attr["squeeze_dims"].list.i)
        return np.squeeze(x, axes or None)
    if step.op == "Transpose":
        return np.transpose(x, others[1])
    if step.op == "Slice":
        return np.asarray(tf.slice(x, others[1], others[2]))
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    numbers = {mask: int(step.attr[mask].i) for mask in masks}
    bounds = dict(zip(("begin", "end", "strides"), others[1:], strict=True))
    return np.asarray(tf.raw_ops.StridedSlice(input=x, **bounds, **numbers))


def _computed(step: Any, x: np.ndarray, others: list[Any]) -> np.ndarray:
    if step.op == "GatherV2":
        values = np.asarray(others[0])
        if values.ndim != 1:
            raise ValueError("rows, not ids")
        return values[x]
    if step.op in _ARITHMETIC:
        known = [place for place, name in enumerate(others) if np.size(name) == 1]
        if len(known) != 1:
            raise ValueError("no constant")
        arguments = [x, x]
        arguments[known[0]] = np.reshape(others[known[0]], ())
        return np.asarray(_ARITHMETIC[step.op](*arguments))
    return x


def _spread(scores: np.ndarray) -> float:
    """How far scores are apart, whatever masks a few of them have."""
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        return 0.0
    low, high = np.quantile(finite, (0.25, 0.75))
    return float((high - low) / 1.349 or finite.std())


def _close_to_equal(sources: list[np.ndarray], places: np.ndarray, allowed: float) -> np.ndarray:
    gap = np.abs(np.subtract(*np.broadcast_arrays(*sources))).reshape(-1)
    return np.asarray(gap[places] <= allowed)


def _close_to_cast(
    source: np.ndarray,
    places: np.ndarray,
    found: np.ndarray,
    allowed: float,
    value_of: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    values = source.reshape(-1)[places]
    ends = [value_of(np.trunc(values + step)) for step in (-allowed, 0.0, allowed)]
    return np.asarray((np.minimum.reduce(ends) <= found) & (found <= np.maximum.reduce(ends)))


def _ties(
    scores: np.ndarray,
    chosen: np.ndarray,
    places: np.ndarray,
    wanted: np.ndarray,
    found: np.ndarray,
    allowed: float,
    value_of: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Where the id that was found has nearly the score of the one that was wanted."""
    count = scores.shape[-1]
    rows = scores.reshape(-1, count)
    per_row = max(1, chosen.size // max(1, len(rows)))
    flat = chosen.reshape(-1)
    values = value_of(np.arange(count))
    ties = np.zeros(wanted.shape, bool)
    different = np.argwhere(wanted != found)
    for at in map(tuple, different[:_MOST_COMPARED]):
        place = int(places[at])
        row = rows[place // per_row]
        candidates = np.flatnonzero(values == found[at])
        if candidates.size:
            gap = np.abs(row[candidates] - row[int(flat[place])]).min()
            ties[at] = bool(gap <= allowed)
    return ties


def tensors_of(decisions: Mapping[str, Decision | None]) -> Iterator[str]:
    """All tensors that decisions need, each once."""
    yield from dict.fromkeys(
        name for decision in decisions.values() if decision for name in decision.fetched
    )


def _node_of(name: str) -> str:
    return name.lstrip("^").partition(":")[0]


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"
