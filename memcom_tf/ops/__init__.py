"""The maths of the layers: one interface, implemented in TensorFlow, NumPy and C++.

`use` chooses between TensorFlow's plain ops and the fused C++ ops, which serve training.
"""

from __future__ import annotations

from memcom_tf.ops.selection import use

__all__ = ["use"]
