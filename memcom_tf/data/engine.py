"""What an engine does for a prepared data set: it reads, checks, counts and orders a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.files.columns import shown
from memcom_tf.datasets.files.values import missing_value, unfit
from memcom_tf.errors import invalid

EngineName: TypeAlias = Literal["duckdb", "spark"]
Report: TypeAlias = Callable[[str], object]


@dataclass(frozen=True)
class Counts:
    """What an engine has counted.

    Attributes:
        items: An Arrow array of the distinct items in rising order: strings or int64. The number
            of an item is its place.
        users_of_shard: [s] how many users each shard has.
        num_interactions: How many rows the log has.
        item_type: "string" or "int64".
        user_type: "string" or "int64".
    """

    items: Any
    users_of_shard: npt.NDArray[np.int64]
    num_interactions: int
    item_type: str
    user_type: str

    @property
    def num_users(self) -> int:
        """Users of all shards."""
        return int(self.users_of_shard.sum())


class Ordered(NamedTuple):
    """Some of the interactions of a log, ordered.

    Attributes:
        user: [n] numbers of users, rising.
        item: [n] numbers of their items, in time order.
        row: [n] places in the log, from 0; None where the log does not say what is held out.
        held_out: [n] whether the log says that an interaction is held out, likewise.
    """

    user: npt.NDArray[Any]
    item: npt.NDArray[Any]
    row: npt.NDArray[np.int64] | None = None
    held_out: npt.NDArray[np.bool_] | None = None


class Engine(Protocol):
    """An engine, which has read a log.

    The shard of a user is a number that the first 8 hexadecimal digits of the MD5 of the user's
    name give, modulo the number of shards: the same on every engine, and unrelated to the order
    of the log. Users are numbered by shard, within it in rising order.
    """

    name: EngineName

    @property
    def says_what_is_held_out(self) -> bool:
        """Whether a column of the log does, and times do not order it."""

    def count(self, interactions_of_shard: int) -> Counts:
        """Counts items and users, and numbers them; what was counted before is kept.

        Args:
            interactions_of_shard: How many interactions a shard has, about.

        Raises:
            ValueError: If a value is missing, or not what its column holds.
        """

    def ordered(self, first_shard: int) -> Iterator[Ordered]:
        """The interactions by user, in time order or that of the log, some at a time.

        Args:
            first_shard: Where to begin.
        """

    def users(self, shard: int) -> Any:
        """An Arrow array of the users of a shard, in rising order."""

    def close(self) -> None:
        """Lets go of what is held."""


def check_labels(column: str, rows_without: int, rows_with_marks: int, example: str | None) -> None:
    """Requires that users, or items, are neither missing nor of several lines.

    Raises:
        ValueError: If some are.
    """
    if rows_without:
        raise invalid(
            "A column must not have missing values.",
            "Leave those rows out, or fill them in.",
            column=shown(column),
            how_many=rows_without,
        )
    if rows_with_marks:
        raise invalid(
            "An id must not have a line break or a NUL in it.",
            "Close the quote that is open, or save the file as text.",
            column=shown(column),
            value=shown(example),
            how_many=rows_with_marks,
        )


def check_flags(column: str, missing: int, unfit_one: str | None, training: int) -> None:
    """Requires that flags of what is held out are 0 or 1, and not all 1.

    Args:
        column: The column.
        missing: How many values are missing.
        unfit_one: A value that is neither, if there is one.
        training: How many interactions are not held out.

    Raises:
        ValueError: If it is not so.
    """
    where = {"column": column}
    if missing:
        raise missing_value(where, missing)
    if unfit_one is not None:
        raise unfit("flag", where, value=shown(unfit_one))
    if not training:
        raise invalid(
            "Some interactions must be for training.",
            "Write 0 where an interaction is not held out.",
            column=shown(column),
        )


def num_shards(num_interactions: int, interactions_of_shard: int) -> int:
    """How many shards a log of that many interactions has."""
    return max(1, -(-num_interactions // interactions_of_shard))
