"""Fused C++ kernels for training: the program of a lookup, and the library that runs it.

`use` chooses between TensorFlow's plain ops and the fused ones.
"""

from __future__ import annotations

from memcom_tf.kernels.selection import use

__all__ = ["use"]
