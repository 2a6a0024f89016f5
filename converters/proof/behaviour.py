"""What a file computes, held against the model: every output, over inputs that excite the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..inputs import Group
from ..preparation.references import Values, stacked
from ..preparation.trained_model import TrainedModel
from ..runtime import CompressedModelFile
from .comparison import FloatOutput, IntegerOutput, Outputs
from .result import Verification


def verify_functions(
    verification: Verification,
    functions: TrainedModel,
    file: CompressedModelFile,
    signatures: Sequence[str] | None = None,
) -> None:
    """Compares every output of every signature of a model's file, or of those that are named."""
    names = functions.signature_names
    several = len(names) > 1
    for signature in names if signatures is None else signatures:
        proof = _Signature(functions, signature, file)
        proof.run()
        proof.report(verification, f"{signature}: " if several else "")


class _Signature:
    """The proof of one signature."""

    def __init__(self, functions: TrainedModel, signature: str, file: CompressedModelFile) -> None:
        self._file, self._signature, self._functions = file, signature, functions
        self._model = functions.function(signature)
        self._groups = functions.groups(signature)
        self._references = functions.references(signature)
        self._graph = functions.graph(signature)
        self._taken = file.signatures[signature]["inputs"]
        self._names = sorted(file.signatures[signature]["outputs"])
        self._in_integers = file.description.scores_in_integers
        self._outputs: dict[str, FloatOutput | IntegerOutput] = {}
        self._refused: dict[str, str] = {}

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
            outputs = self._outputs_of(group, stacked(calls, group.batched))
            for name in self._names:
                if name not in self._outputs:
                    self._outputs[name] = self._output(name, outputs.file[name])
                self._outputs[name].add(outputs)

    def _output(self, name: str, values: np.ndarray) -> FloatOutput | IntegerOutput:
        if values.dtype.kind == "f":
            return FloatOutput(name, self._in_integers, self._functions.fits_inputs)
        return IntegerOutput(name, self._in_integers, self._references, self._graph)

    def _outputs_of(self, group: Group, found: Values) -> Outputs:
        model = stacked([self._model.run(call) for call in group.calls], group.batched)
        graph, *wanted = (each.outputs(group) for each in (self._graph, *self._references))
        noise = self._references[0].noise(group, wanted[0])
        undefined = self._undefined(group, len(next(iter(model.values()))))
        model, graph, *wanted = (_without(undefined, x) for x in (model, graph, *wanted))

        def at_edges(place: int) -> Iterator[Values]:
            for reference in self._references[place].at_edges():
                yield _without(undefined, reference.outputs(group))

        return Outputs(group.name, found, model, graph, wanted, at_edges, noise, undefined)

    def _undefined(self, group: Group, count: int) -> np.ndarray:
        """Rows in which the model compares what is no number.

        The mean of a history that is masked throughout is 0 / 0. A ReLU behind it makes 0 of that
        in TensorFlow on some processors, and no number elsewhere.
        """
        rows = count if group.batched else 1
        return np.concatenate(
            [self._functions.undefined(self._signature, call, rows) for call in group.calls]
        )

    def report(self, verification: Verification, prefix: str) -> None:
        """Adds what was found."""
        for group, reason in self._refused.items():
            verification.bounded(
                f"{prefix}inputs that the model takes and the file refuses ({group})", 1, 0, reason
            )
        for name, output in self._outputs.items():
            output.report(verification, f"{prefix}{name}")
            # What follows from no input may be constant.
            if not output.varies and self._graph.frozen.inputs_behind(name):
                verification.bounded(
                    f"{prefix}{name}: does not vary over the inputs, which proves nothing",
                    1,
                    0,
                    "Samples of what the model is made for may make it vary.",
                )


def _without(rows: np.ndarray, outputs: Values) -> dict[str, np.ndarray]:
    """Outputs with no number in some rows."""
    return {
        name: np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values)
        if values.dtype.kind == "f" and values.ndim and len(values) == len(rows)
        else values
        for name, values in outputs.items()
    }
