"""How the tables of a file are stored: one kind for all, or by patterns of their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple, get_args

from memcom_tf.errors import for_reader, invalid
from memcom_tf.tables import FLOAT32, Scales, Storage, Table

Kind = Literal["int8", "int8_per_table", "int4", "int2", "float16", "float32"]
Weights = Kind | Mapping[str, Kind]
"""A kind for all tables, or kinds by patterns as `"users/*"`, of which the first that fits counts;
what none fits is int8."""
Profile = Literal["portable", "litert"]
"""The runtimes that a file is for: all from TensorFlow Lite 2.8 on, whose GATHER and CAST read the
tables; or those from 2.18 on, as LiteRT's, whose EMBEDDING_LOOKUP does."""


def check_weights(weights: Weights) -> None:
    """Requires kinds.

    Raises:
        ValueError: Naming what is none.
    """
    kinds = weights.values() if isinstance(weights, Mapping) else [weights]
    for kind in kinds:
        if kind not in get_args(Kind):
            raise invalid(
                f"`weights` must be one of {', '.join(get_args(Kind))}, or several of these by "
                "patterns of names.",
                for_reader(
                    'Pass a dict, as in {"users/*": "int4", "*": "int8"}.',
                    "Write 'users/*=int4' int8, for instance.",
                ),
                weights=kind,
            )


def parse_weights(words: Sequence[str]) -> Any:
    """The kinds of `--weights`, not checked.

    Example:
        >>> parse_weights(["int8"]), parse_weights(["users/*=int4", "int8"])
        ('int8', {'users/*': 'int4', '*': 'int8'})
    """
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    pairs = [word.rpartition("=") for word in words]
    weights = {pattern or "*": kind for pattern, _, kind in pairs}
    if len(weights) < len(words):
        raise invalid(
            "Every pattern of --weights must be given once, and one kind without a pattern.",
            "Write 'users/*=int4' int8, for instance.",
            weights=" ".join(words),
        )
    return weights


def check_profile(profile: str) -> None:
    """Requires a profile.

    Raises:
        ValueError: If it is none.
    """
    if profile not in get_args(Profile):
        raise invalid(f"`profile` must be one of {get_args(Profile)}.", profile=profile)


def kind_of(weights: Weights, name: str) -> Kind:
    """The kind of the table of that name."""
    if not isinstance(weights, Mapping):
        return weights
    return next((kind for shape, kind in weights.items() if fnmatchcase(name, shape)), "int8")


def stored_as(table: Table, kind: Kind) -> Table:
    """A declared table with the bits of a kind: its method's own where that is "int8".

    Only vectors take other bits: values of an id, such as MEmCom's multiplier, stay integers of 16,
    which are nearer than a float16.
    """
    if not table.trainable or kind == "int8":
        return table
    if kind == "float32":
        return table.stored_as(FLOAT32)
    storage = table.storage
    if storage.numbers != "scaled" or storage.bits != 8:
        return table
    return table.stored_as(storage_of(kind, storage.scaled_by or "row"))


def storage_of(kind: Kind, scaled_by: Scales = "row") -> Storage:
    """How vectors of a kind are stored, with those scales where the kind does not say.

    Example:
        >>> str(storage_of("int4")), str(storage_of("int8_per_table")), str(storage_of("float16"))
        ('int4_per_row', 'int8_per_table', 'float16')
    """
    has_scales = kind in ("int8", "int4", "int2")
    return Storage.of(f"{kind}_per_{scaled_by}" if has_scales else kind)


class Stored(NamedTuple):
    """What a file decided about a table.

    Attributes:
        storage: How it is stored.
        in_floats: Why it is multiplied in floats; empty where it is not.
    """

    storage: str
    in_floats: str
