"""Vectors of a file held against those of the layer, within a bound of the quantization steps."""

from __future__ import annotations

import numpy as np

from memcom_tf.ops.interface import UnsupportedOpError
from memcom_tf.ops.numpy_ops import NumpyOps

from ..preparation.spread import FLOAT_TOLERANCE, errors, spread_of
from ..quantization.bounds import embedding_ball
from ..quantization.fold import ShippedEmbedding
from ..runtime import CompressedModelFile
from .result import Verification

_NUM_IDS = 1000


def sample_ids(input_dim: int, rng: np.random.Generator) -> np.ndarray:
    """First, last, odd, even, frequent and random ids, int32."""
    edges = [0, 1, 2, 3, input_dim // 2, input_dim // 2 + 1, input_dim - 2, input_dim - 1]
    frequent = np.arange(min(input_dim, 100))
    drawn = rng.integers(0, input_dim, _NUM_IDS)
    ids = np.concatenate([edges, frequent, drawn])
    return np.unique(ids[(ids >= 0) & (ids < input_dim)]).astype(np.int32)


def verify_vectors(
    verification: Verification,
    file: CompressedModelFile,
    shipped: ShippedEmbedding,
    signature: str,
) -> None:
    """Compares vectors of many ids that the file computes with those of the trained layer."""
    ids = sample_ids(shipped.layer.input_dim, np.random.default_rng(0))
    vectors = file.run(signature, ids=ids)["vectors"]
    expected = np.asarray(shipped.trained(ids), np.float64)
    error = np.abs(vectors - expected)
    try:
        ball = embedding_ball(shipped, ids)
    except UnsupportedOpError as reason:
        # Of the method no bound is known: the file is held against its own values alone.
        stored = shipped.layer.lookup(NumpyOps(), ids, shipped.dequantized())
        gaps = errors(vectors, stored, spread_of(stored, FLOAT_TOLERANCE))
        what = f"{signature} against the file's own values, in spreads"
        verification.bounded(what, gaps.max(), FLOAT_TOLERANCE)
        verification.measured(f"{signature}: error, not bounded", error.max(), str(reason))
        return
    excess = error / np.maximum(np.broadcast_to(ball.radius, error.shape), 1e-30)
    verification.bounded(f"{signature}: error over its derived bound", excess.max(), 1.0)
    verification.measured(f"{signature}: largest error of a vector", error.max())
