"""What a model is called with, as words of the command line: `user:int32[?]`."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

from memcom_tf.errors import invalid

_WORD = re.compile(r"(?P<name>.+):(?P<dtype>[a-z]+[0-9]*)\[(?P<sizes>[0-9?, ]*)\]")
_DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "float32")


def parse_inputs(words: list[str]) -> Any:
    """The specs of a model's inputs.

    Args:
        words: `NAME:TYPE[SIZES]` for each input; `?` is a size that is free, the batch first.
            All of them may be without `NAME:`.

    Returns:
        A dict of `tf.TensorSpec`s by name, in the order of the words. Without names a list of
        them, and of a single word the spec itself.

    Raises:
        ValueError: Naming the word that is not of that form.

    Example:
        >>> parse_inputs(["user:int32[?]", "history:int32[?,20]"])["history"].shape.as_list()
        [None, 20]
        >>> parse_inputs(["int32[?,20]"]).name is None
        True
    """
    if not any(":" in word for word in words):
        specs = [_spec(f"input:{word}", word)[1] for word in words]
        return specs if len(specs) > 1 else specs[0]
    named = dict(_spec(word, word) for word in words)
    if len(named) < len(words):
        raise invalid("Every input must be given once.", inputs=" ".join(words))
    return named


def _spec(word: str, given: str) -> tuple[str, Any]:
    found = _WORD.fullmatch(word)
    if found is None or found["dtype"] not in _DTYPES:
        raise _malformed(given)
    sizes = [size.strip() for size in found["sizes"].split(",")] if found["sizes"].strip() else []
    if not all(size == "?" or size.isdigit() for size in sizes):
        raise _malformed(given)
    shape = [None if size == "?" else int(size) for size in sizes]
    return found["name"], tf.TensorSpec(shape, found["dtype"])


def _malformed(word: str) -> ValueError:
    return invalid(
        f"Each of --inputs must be NAME:TYPE[SIZES], with a type of {', '.join(_DTYPES)}.",
        "Write 'user:int32[?]' for ids of a batch, for instance.",
        input=word,
    )
