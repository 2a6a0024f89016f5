"""Every method in every variant, at a size where each table has more than one row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from memcom_tf.layers import METHODS, CompressedEmbedding

INPUT_DIM, OUTPUT_DIM = 230, 16


class Case(NamedTuple):
    method: type[CompressedEmbedding]
    variant: dict[str, Any]

    def layer(self, ratio: float | None = None, **kwargs: Any) -> CompressedEmbedding:
        arguments = {"input_dim": INPUT_DIM, "output_dim": OUTPUT_DIM, **self.variant, **kwargs}
        if ratio is None:
            ratio = 1 if self.method.size_argument is None else 3
        return self.method.for_ratio(ratio=ratio, **arguments)

    def trained(self, **kwargs: Any) -> CompressedEmbedding:
        """A layer whose tables all hold distinct values, as after training."""
        return fill(self.layer(**kwargs))


def fill(layer: CompressedEmbedding) -> CompressedEmbedding:
    """Gives every table distinct values."""
    layer.build(None)
    rng = np.random.default_rng(7)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.3, 0.5, variable.shape))
    return layer


CASES = [Case(method, variant) for method in METHODS.values() for variant in method.variants]


def name_of(case: Case) -> str:
    settings = ",".join(f"{key}={value}" for key, value in case.variant.items())
    return f"{case.method.__name__}({settings})"


every_method = pytest.mark.parametrize("case", CASES, ids=name_of)
