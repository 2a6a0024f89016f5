"""Sparse gradients whose rows are known to be unique."""

from __future__ import annotations

import tensorflow as tf


class SummedSlices(tf.IndexedSlices):
    """Slices of which no two are of the same row."""
