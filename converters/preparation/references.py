"""What a file is held against: its functions over the floats that its integers stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any

import numpy as np
import tensorflow as tf

from ..inputs import Group
from ..tracing.decisions import Decision
from ..tracing.frozen import FrozenFunction
from ..tracing.rounding import Queries, Rounding

Values = Mapping[str, np.ndarray]
"""Outputs by name."""

_EDGES = (1e-5, 1e-4, 1e-3)
"""Of a step: how near to halfway is as good as there, from few roundings on the way to many."""
_FEW = 3
_ROUNDINGS = 16
"""Of a last bit, as many of which may come together on the way to an output."""


@dataclass(frozen=True)
class Reference:
    """A function as it was traced, or over the floats that a file's integers stand for.

    Attributes:
        frozen: The function.
        concrete: What it computes.
        queries: What rounds queries in it; None where nothing does.
        rounding: How queries are rounded before they are multiplied with int8.
        in_last_bit: Whether queries change in their last bit.
        edges: How near to halfway queries of a table take the other step.
    """

    frozen: FrozenFunction
    concrete: Any
    queries: Queries | None = None
    rounding: Rounding = "none"
    in_last_bit: bool = False
    edges: Mapping[str, float] = field(default_factory=dict)

    def rounded(self, rounding: Rounding) -> Reference:
        """The same with another way of rounding."""
        return replace(self, rounding=rounding)

    def at_edges(self) -> Iterator[Reference]:
        """The same where values of some queries take the step beside their own.

        Two computations of a query differ in the last bits. Where a value lies halfway between two
        steps they may take different ones. Which queries did so is not known: all ways are tried
        of a few tables, and of many each by itself, and all.
        """
        names = () if self.queries is None or self.rounding == "none" else self.queries.names
        sizes = range(1, len(names) + 1) if len(names) <= _FEW else {1, len(names)}
        for edge, size in product(_EDGES, sizes):
            for some in combinations(names, size):
                yield replace(self, edges=dict.fromkeys(some, edge))

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """What decided the outputs that are no floats."""
        return self.frozen.decisions

    def run(self, call: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, and the tensors of the decisions by theirs."""
        if self.queries is not None:
            self.queries.set(self.rounding, self.in_last_bit, self.edges)
        outputs = self.concrete(*[tf.constant(call[spec.name]) for spec in self.frozen.specs])
        return {name: np.asarray(value) for name, value in outputs.items()}

    def outputs(self, group: Group) -> dict[str, np.ndarray]:
        """Outputs for a group of inputs."""
        return stacked([self.run(call) for call in group.calls], group.batched)

    def changed_outputs(self, group: Group) -> dict[str, np.ndarray]:
        """The same where what `noise` names changes in its last bit."""
        # Up or down: up alone is a factor, in which what cancels out in a sum does not show.
        rng = np.random.default_rng(0)
        calls = [
            {
                name: _last_bit_changed(values, rng) if values.dtype.kind == "f" else values
                for name, values in call.items()
            }
            for call in group.calls
        ]
        changed = replace(self, in_last_bit=True)
        return stacked([changed.run(call) for call in calls], group.batched)

    def noise(self, group: Group, wanted: Values) -> dict[str, np.ndarray]:
        """What outputs of floats change by where their sources do in their last bit.

        Changed are the floats of the inputs, what is multiplied with trained matrices, and what
        functions such as tanh give, which runtimes compute each in their own way. A large value
        may drown the others in float32 itself, and sums of large ones that cancel out are as
        inexact as these: no file can be nearer to the model.

        Args:
            group: The inputs.
            wanted: The outputs for these.
        """
        outputs = self.changed_outputs(group)
        with np.errstate(invalid="ignore"):
            return {
                name: _ROUNDINGS * np.abs(outputs[name].astype(np.float64) - wanted[name])
                for name in self.frozen.outputs
                if outputs[name].dtype.kind == "f"
            }


def stacked(calls: Sequence[Mapping[str, Any]], batched: bool) -> dict[str, np.ndarray]:
    """Outputs of the calls of a group; along a new axis where a call is one row."""
    if batched or len(calls) == 1:
        return {name: np.asarray(value) for name, value in calls[0].items()}
    return {name: np.stack([call[name] for call in calls]) for name in calls[0]}


def _last_bit_changed(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers may be ids, and stay what they are."""
    towards = np.where(rng.random(values.shape) < 0.5, -np.inf, np.inf).astype(values.dtype)
    return np.where(values == np.round(values), values, np.nextafter(values, towards))
