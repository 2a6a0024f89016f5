"""Ids in a file's graph: int32, and refused where they are outside of the vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from memcom_tf.ops.interface import Array
from memcom_tf.ops.reference import CHECKED_IDS, POISONED

from .graph_def import Replacement

_CHECKED = re.compile(rf"{CHECKED_IDS}(\d+?)(_\d+)?$")
_POISONED = re.compile(rf"{POISONED}(_\d+)?$")


def ids_of_file(ids: Array, input_dim: int, *, are_checked: bool) -> Array:
    """Ids as int32, of which a runtime refuses those outside of `[0, input_dim)`.

    Args:
        ids: int32 or int64.
        input_dim: Size of the vocabulary, at most 2^31.
        are_checked: Whether what reads them refuses the others by itself.
    """
    ids = _narrowed(ids, input_dim)
    return ids if are_checked else ids + _refusal(ids, input_dim)


def checks_of_layers(nodes: Mapping[str, Any]) -> Iterator[Replacement]:
    """What takes the place of the checks that our layers have in a traced graph.

    They are assertions, which conversion drops, and vectors that are no numbers.
    """
    for node in nodes.values():
        if (found := _CHECKED.search(node.name)) and node.op == "Identity":
            yield Replacement(node.name, node.input[:1], partial(_checked, int(found[1])))
        elif _POISONED.search(node.name) and node.op in ("If", "StatelessIf"):
            yield Replacement(node.name, node.input[1:2], tf.identity)


def _checked(input_dim: int, ids: Array) -> Array:
    """Ids of their type, refused where they are outside."""
    return ids + tf.cast(_refusal(_narrowed(ids, input_dim), input_dim), ids.dtype)


def _narrowed(ids: Array, input_dim: int) -> Array:
    """Ids as int32; those outside stay outside: none becomes another by losing its high bits."""
    if ids.dtype == tf.int32:
        return ids
    return tf.cast(tf.clip_by_value(ids, -1, min(input_dim, 2**31 - 1)), tf.int32)


def _refusal(ids: Array, input_dim: int) -> Array:
    """Zeros, which a runtime refuses to compute of ids outside of the vocabulary."""
    # The quotient is 0 within the vocabulary, and no row of a table of one row outside of it.
    return tf.gather(tf.constant([0]), ids // input_dim)
