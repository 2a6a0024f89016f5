"""What a file computes, held against the model: every output, over inputs that excite the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..decisions import Decision, undecided
from ..inputs import Group
from ..rounding import Rounding
from ..runtime import CompressedModelFile
from ..trained_model import Reference, TrainedModel
from .outputs import errors, spread_of
from .result import Verification

FLOAT_TOLERANCE = 1e-3
"""float32 rounding of a whole model, relative to the spread of an output."""
INTEGER_TOLERANCE = 5e-2
"""The same where a runtime multiplies in 8 bits: next to a step's edge it may take the other."""
_ROUNDINGS = 16
"""Of a last bit, as many of which may come together on the way to an output."""
LARGEST_LOSS = 0.2
"""Root mean square of what products in 8 bits may take, relative to the spread."""


def verify_functions(
    verification: Verification, functions: TrainedModel, file: CompressedModelFile
) -> None:
    """Compares every output of every signature of a model's file."""
    in_integers = bool(file.description["scores_in_integers"])
    several = len(functions.signature_names) > 1
    for signature in functions.signature_names:
        proof = _Signature(functions, signature, file, in_integers)
        proof.run()
        proof.report(verification, f"{signature}: " if several else "")


_Values = dict[str, np.ndarray]


@dataclass
class _Output:
    """What was found of one output, over all groups."""

    rounding: dict[Rounding, float] = field(default_factory=dict)
    """Largest error, in spreads, against each way of rounding; the best of a group counts."""
    worst: float = 0.0
    group: str = ""
    loss: float = 0.0
    error: float = 0.0
    missing: float = 0.0
    varies: bool = False
    different: int = 0
    ties: int = 0
    integers: int = 0


class _Signature:
    """The proof of one signature."""

    def __init__(
        self, functions: TrainedModel, signature: str, file: CompressedModelFile, in_integers: bool
    ) -> None:
        self._file, self._signature = file, signature
        self._functions = functions
        self._model = functions.function(signature)
        self._groups = functions.groups(signature)
        self._references: Sequence[Reference] = functions.references(signature)
        self._taken = file.signatures[signature]["inputs"]
        self._tolerance = INTEGER_TOLERANCE if in_integers else FLOAT_TOLERANCE
        self._in_integers = in_integers
        self._refused: dict[str, str] = {}
        self._found = {name: _Output() for name in sorted(file.signatures[signature]["outputs"])}

    def run(self) -> None:
        """Runs file, model and references on every group."""
        for group in self._groups:
            try:
                # A file does not take what its outputs do not depend on.
                calls = [
                    self._file.run(self._signature, **{name: call[name] for name in self._taken})
                    for call in group.calls
                ]
            except ValueError as error:
                self._refused[group.name] = str(error)
                continue
            self._compare(group, _stacked(calls, group.batched))

    def _compare(self, group: Group, found: _Values) -> None:
        original = _stacked([self._model.run(call) for call in group.calls], group.batched)
        wanted = [
            _stacked([reference.run(call) for call in group.calls], group.batched)
            for reference in self._references
        ]
        if any(_lacks_numbers(values, wanted[0][name]) for name, values in found.items()):
            wanted, original = self._defined(group, wanted, original)
        noise = self._noise(group, wanted[0])
        for name, output in self._found.items():
            values = [outputs[name] for outputs in wanted]
            if found[name].dtype.kind == "f":
                self._compare_floats(
                    output, group, found[name], values, original[name], noise.get(name)
                )
            else:
                self._compare_integers(output, name, found[name], wanted)

    def _defined(self, group: Group, wanted: list[_Values], original: _Values) -> Any:
        """Outputs without those of rows in which the model compares what is no number.

        The mean of a history that is masked throughout is 0 / 0. A ReLU behind it makes 0 of that
        in TensorFlow on some processors, and no number elsewhere.
        """
        count = len(next(iter(wanted[0].values())))
        rows = np.concatenate(
            [
                self._functions.undefined(self._signature, call, count if group.batched else 1)
                for call in group.calls
            ]
        )

        def without(outputs: _Values) -> _Values:
            return {
                name: np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values)
                if values.dtype.kind == "f" and values.ndim and len(values) == len(rows)
                else values
                for name, values in outputs.items()
            }

        return [without(outputs) for outputs in wanted], without(original)

    def _noise(self, group: Group, wanted: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What outputs change by where floats of the inputs do in their last bit.

        A large input may drown the others in float32 itself: no file can be nearer to the model.
        """
        floats = [name for name, values in group.calls[0].items() if values.dtype.kind == "f"]
        if not floats:
            return {}
        moved = [
            {**call, **{name: np.nextafter(call[name], np.inf) for name in floats}}
            for call in group.calls
        ]
        outputs = _stacked([self._references[0].run(call) for call in moved], group.batched)
        with np.errstate(invalid="ignore"):
            return {
                name: np.abs(outputs[name].astype(np.float64) - wanted[name])
                for name in self._found
                if outputs[name].dtype.kind == "f"
            }

    def _compare_floats(
        self,
        output: _Output,
        group: Group,
        found: np.ndarray,
        wanted: Sequence[np.ndarray],
        original: np.ndarray,
        noise: np.ndarray | None,
    ) -> None:
        if not found.size:
            return
        output.missing = max(output.missing, float(np.isnan(original).mean()))
        unit = spread_of(wanted[0], self._tolerance)
        if noise is not None:
            unit = unit.beside(_ROUNDINGS * noise, self._tolerance)
        of_model = spread_of(original, self._tolerance)
        output.varies |= unit.varies and of_model.varies
        gaps = [errors(found, values, unit) for values in wanted]
        best = min(float(gap.max(initial=0.0)) for gap in gaps)
        if best >= output.worst:
            output.worst, output.group = best, group.name
        if unit.varies:
            loss = float(np.sqrt(np.mean(np.minimum(gaps[0], 1e150) ** 2)))
            output.loss = max(output.loss, loss)
        with np.errstate(invalid="ignore"):
            gap = np.abs(np.where(found == original, 0.0, found - np.asarray(original, np.float64)))
        gap = gap[~np.isnan(original)]
        output.error = float(np.maximum(output.error, gap.max(initial=0.0)))

    def _compare_integers(
        self,
        output: _Output,
        name: str,
        found: np.ndarray,
        wanted: Sequence[Mapping[str, np.ndarray]],
    ) -> None:
        best = None
        for reference, outputs in zip(self._references, wanted, strict=True):
            values = outputs[name]
            differ = values != found
            ties = np.zeros(values.shape, bool)
            decision: Decision | None = reference.decisions.get(name)
            if decision is not None and differ.any():
                allowed = undecided(decision, outputs, values, found, self._tolerance)
                ties = ties if allowed is None else differ & allowed
            counts = int((differ & ~ties).sum()), int(ties.sum())
            best = counts if best is None else min(best, counts)
            output.varies |= bool(values.size and (values != values.reshape(-1)[0]).any())
        assert best is not None
        output.different += best[0]
        output.ties += best[1]
        output.integers += found.size

    def report(self, verification: Verification, prefix: str) -> None:
        """Adds what was found."""
        for group, reason in self._refused.items():
            verification.bounded(
                f"{prefix}inputs that the model takes and the file refuses ({group})", 1, 0, reason
            )
        fixed = self._fixed_outputs()
        for name, output in self._found.items():
            label = f"{prefix}{name}"
            if output.integers:
                self._report_integers(verification, label, output)
            else:
                self._report_floats(verification, label, output)
            if not output.varies and name not in fixed:
                verification.bounded(
                    f"{label}: does not vary over the inputs, which proves nothing",
                    1,
                    0,
                    "Samples of what the model is made for may make it vary.",
                )

    def _report_floats(self, verification: Verification, label: str, output: _Output) -> None:
        where = f"worst on: {output.group}" if output.worst > self._tolerance else ""
        verification.bounded(
            f"{label} against the file's own values, in spreads",
            output.worst,
            self._tolerance,
            where,
        )
        if self._in_integers:
            verification.bounded(
                f"{label}: lost by products in 8 bits, in spreads", output.loss, LARGEST_LOSS
            )
        verification.measured(f"{label}: largest error against the model", output.error)
        if output.missing:
            verification.measured(f"{label}: share without a number", output.missing)

    @staticmethod
    def _report_integers(verification: Verification, label: str, output: _Output) -> None:
        verification.bounded(
            f"{label}: integers that differ, of {output.integers:,}", output.different, 0
        )
        if output.ties:
            verification.measured(f"{label}: integers that differ for equal scores", output.ties)

    def _fixed_outputs(self) -> set[str]:
        """Outputs that follow from no input."""
        return {name for name in self._found if not self._references[0].frozen.inputs_behind(name)}


def _lacks_numbers(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether a file has no number where its reference has one."""
    return found.dtype.kind == "f" and bool((np.isnan(found) & ~np.isnan(wanted)).any())


def _stacked(calls: Sequence[Mapping[str, Any]], batched: bool) -> dict[str, np.ndarray]:
    """Outputs of the calls of a group; along a new axis where a call is one row."""
    if batched or len(calls) == 1:
        return {name: np.asarray(value) for name, value in calls[0].items()}
    return {name: np.stack([call[name] for call in calls]) for name in calls[0]}
