"""One output of a file, held against its model over all groups of inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..preparation.references import Reference, Values
from ..preparation.spread import (
    FLOAT_TOLERANCE,
    INTEGER_TOLERANCE,
    LARGEST_LOSS,
    Spread,
    errors,
    spreads_of,
)
from ..tracing.decisions import differences
from .result import Verification


@dataclass(frozen=True)
class Outputs:
    """Outputs for a group of inputs, by name.

    Attributes:
        group: Name of the group.
        file: Of the file.
        model: Of the model.
        graph: Of the graph that was converted, over the model's own values.
        references: Of that graph over the file's values, for each way of rounding queries; the
            first rounds none.
        at_edges: Of one of the references, from its place: the same where queries take a step
            beside their own, if they are nearly there.
        noise: What floats change by where their sources do in their last bit.
        undefined: Rows in which the model compares what is no number; None where there is none.
    """

    group: str
    file: Values
    model: Values
    graph: Values
    references: Sequence[Values]
    at_edges: Callable[[int], Iterable[Values]]
    noise: Values
    undefined: np.ndarray | None = None


_LARGEST_ERROR = 1e150
"""Of which the square is a float."""
_NEARLY_ALL = 0.9
"""Share of the rows of a group."""
_FEW_ROWS = 0.02
"""The same."""


def _of_rows(values: np.ndarray) -> np.ndarray:
    """The largest of each row."""
    return values.reshape(len(values), -1).max(axis=1, initial=0) if values.ndim else values[None]


@dataclass
class FloatOutput:
    """An output of floats: errors are relative to its spread.

    Attributes:
        name: Of the output.
        in_integers: Whether the file multiplies in 8 bits.
        is_loss_bounded: Whether what that takes is bounded: on inputs for which it was decided.
    """

    name: str
    in_integers: bool
    is_loss_bounded: bool = True
    _groups: list[Outputs] = field(default_factory=list)
    _worst: float = 0.0
    _group: str = ""
    _rewriting: float = 0.0
    _loss: float = 0.0
    _error: float = 0.0
    _missing: float = 0.0
    _several_edges: int = 0

    @property
    def _tolerance(self) -> float:
        return INTEGER_TOLERANCE if self.in_integers else FLOAT_TOLERANCE

    def add(self, outputs: Outputs) -> None:
        """Adds a group."""
        if outputs.file[self.name].size:
            self._groups.append(outputs)

    @cached_property
    def _units(self) -> list[tuple[Spread, Spread]]:
        """For each group what errors count relative to, over the file's values and the model's."""
        found = []
        wanted = spreads_of([o.references[0][self.name] for o in self._groups], self._tolerance)
        models = spreads_of([o.model[self.name] for o in self._groups], FLOAT_TOLERANCE)
        for outputs, unit, of_model in zip(self._groups, wanted, models, strict=True):
            noise = outputs.noise[self.name]
            beside = unit.beside(noise, self._tolerance), of_model.beside(noise, FLOAT_TOLERANCE)
            found.append(beside)
        return found

    @property
    def varies(self) -> bool:
        """Whether it varies over any group, in the file's values and in the model's."""
        return any(unit.varies and of_model.varies for unit, of_model in self._units)

    def _judge(self, outputs: Outputs, unit: Spread, of_model: Spread) -> None:
        found, model = outputs.file[self.name], outputs.model[self.name]
        gaps = [errors(found, values[self.name], unit) for values in outputs.references]
        best = min(float(gap.max(initial=0.0)) for gap in gaps)
        if best > self._tolerance:
            best = self._explained(outputs, unit, gaps)
        if best >= self._worst:
            self._worst, self._group = best, outputs.group
        if unit.varies:
            loss = float(np.sqrt(np.mean(np.minimum(gaps[0], _LARGEST_ERROR) ** 2)))
            self._loss = max(self._loss, loss)
        rewriting = errors(outputs.graph[self.name], model, of_model)
        self._rewriting = max(self._rewriting, float(rewriting.max(initial=0.0)))
        self._missing = max(self._missing, float(np.isnan(model).mean()))
        with np.errstate(invalid="ignore"):
            gap = np.abs(np.where(found == model, 0.0, found - np.asarray(model, np.float64)))
        self._error = float(np.maximum(self._error, gap[~np.isnan(model)].max(initial=0.0)))

    def _explained(self, outputs: Outputs, unit: Spread, gaps: Sequence[np.ndarray]) -> float:
        """The largest error, where each row may have queries at the edge of a step."""
        place = int(np.argmin([np.minimum(gap, _LARGEST_ERROR).mean() for gap in gaps]))
        found, rows = outputs.file[self.name], _of_rows(gaps[place])
        for values in outputs.at_edges(place):
            rows = np.minimum(rows, _of_rows(errors(found, values[self.name], unit)))
            if rows.max() <= self._tolerance:
                return float(rows.max())
        # Where the file computes as the reference in nearly all rows, one or two may have several
        # values halfway, each of which took its own step.
        far = rows > self._tolerance
        near = (_of_rows(gaps[place]) <= FLOAT_TOLERANCE).mean() >= _NEARLY_ALL
        few = far.sum() <= max(1, _FEW_ROWS * len(rows)) and rows.max() <= 2 * self._tolerance
        if not (self.in_integers and near and few):
            return float(rows.max())
        self._several_edges += int(far.sum())
        return float(rows[~far].max(initial=0.0))

    def report(self, verification: Verification, label: str) -> None:
        """Adds what was found."""
        for outputs, (unit, of_model) in zip(self._groups, self._units, strict=True):
            self._judge(outputs, unit, of_model)
        where = f"worst on: {self._group}" if not self._worst <= self._tolerance else ""
        verification.bounded(
            f"{label} against the file's own values, in spreads",
            self._worst,
            self._tolerance,
            where,
        )
        verification.bounded(
            f"{label}: the converted graph against the model, in spreads",
            self._rewriting,
            FLOAT_TOLERANCE,
        )
        lost = f"{label}: lost by products in 8 bits, in spreads"
        if self.in_integers and self.is_loss_bounded:
            verification.bounded(lost, self._loss, LARGEST_LOSS)
        elif self.in_integers:
            verification.measured(lost, self._loss, "on drawn inputs, not on samples as before")
        verification.measured(f"{label}: largest error against the model", self._error)
        if self._several_edges:
            verification.measured(
                f"{label}: rows farther off, with several values halfway between two steps",
                self._several_edges,
                f"by at most {2 * self._tolerance:g}, where nine rows of ten are the file's own",
            )
        if self._missing:
            verification.measured(f"{label}: share without a number", self._missing)


@dataclass
class IntegerOutput:
    """An output of integers or booleans: they are equal, but where their scores are.

    Attributes:
        name: Of the output.
        in_integers: Whether the file multiplies in 8 bits.
        references: What gives `Outputs.references`.
        graph: What gives `Outputs.graph`.
        varies: Whether it has varied over a group.
    """

    name: str
    in_integers: bool
    references: Sequence[Reference]
    graph: Reference
    varies: bool = False
    _different: int = 0
    _ties: int = 0
    _rewritten: int = 0
    _count: int = 0
    _groups: list[str] = field(default_factory=list)

    def add(self, outputs: Outputs) -> None:
        """Compares it over a group."""
        found, model = outputs.file[self.name], outputs.model[self.name]
        tolerance = INTEGER_TOLERANCE if self.in_integers else FLOAT_TOLERANCE
        compared = [
            self._compared(reference, values, found, tolerance, outputs.undefined)
            for reference, values in zip(self.references, outputs.references, strict=True)
        ]
        place = int(np.argmin([different.sum() for different, _ in compared]))
        different, ties = compared[place]
        rows = _of_rows(different)
        for values in outputs.at_edges(place) if rows.any() else ():
            reference = self.references[place]
            others, _ = self._compared(reference, values, found, tolerance, outputs.undefined)
            rows = rows & _of_rows(others)
            if not rows.any():
                break
        if rows.any():
            self._groups.append(outputs.group)
            self._different += int(different.reshape(len(rows), -1)[rows].sum())
        self._ties += int(ties.sum())
        rewritten, _ = self._compared(self.graph, outputs.graph, model, FLOAT_TOLERANCE)
        self._rewritten += int(rewritten.sum())
        self._count += found.size
        self.varies |= bool(model.size and (model != model.reshape(-1)[0]).any())

    def _compared(
        self,
        reference: Reference,
        outputs: Values,
        found: np.ndarray,
        tolerance: float,
        undefined: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        wanted, decision = outputs[self.name], reference.decisions.get(self.name)
        if undefined is not None and len(undefined) == len(found) and wanted.shape == found.shape:
            # Which of them is larger of two that are no numbers is the processor's affair.
            found = np.where(undefined.reshape(-1, *[1] * (found.ndim - 1)), wanted, found)
        return differences(decision, outputs, wanted, found, tolerance)

    def report(self, verification: Verification, label: str) -> None:
        """Adds what was found."""
        verification.bounded(
            f"{label}: integers that differ, of {self._count:,}",
            self._different,
            0,
            ", ".join(self._groups),
        )
        verification.bounded(
            f"{label}: integers of the converted graph that differ from the model's",
            self._rewritten,
            0,
        )
        if self._ties:
            verification.measured(f"{label}: integers that differ for equal scores", self._ties)
