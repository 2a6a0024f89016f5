"""What an engine does for a prepared data set: it reads, checks, counts and orders a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.files.columns import shown
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


class Engine(Protocol):
    """An engine, which has read a log.

    The shard of a user is a number that the first 8 hexadecimal digits of the MD5 of the user's
    name give, modulo the number of shards: the same on every engine, and unrelated to the order
    of the log. Users are numbered by shard, within it in rising order.
    """

    name: EngineName

    def count(self, interactions_of_shard: int) -> Counts:
        """Counts items and users, and numbers them; what was counted before is kept.

        Args:
            interactions_of_shard: How many interactions a shard has, about.

        Raises:
            ValueError: If a value is missing, or not what its column holds.
        """

    def ordered(self, first_shard: int) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Numbers of users, rising, and of their items in time order, some rows at a time.

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


def num_shards(num_interactions: int, interactions_of_shard: int) -> int:
    """How many shards a log of that many interactions has."""
    return max(1, -(-num_interactions // interactions_of_shard))
