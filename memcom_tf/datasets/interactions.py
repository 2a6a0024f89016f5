"""Interactions: who took which item, when, and what is known of the items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.labels import Labels
from memcom_tf.errors import invalid
from memcom_tf.vocabulary.items import is_missing


class Interactions:
    """Interactions in columns of equal length, immutable.

    Args:
        user: [n] users, strings or integers, or `Labels`.
        item: [n] items, strings or integers, or `Labels`.
        time: [n] times as numbers or datetime64; None means that the order of the rows is the
            order in time.
        details: Detail name -> item -> text, e.g. `{"title": {50: "Star Wars (1977)"}}`.

    Raises:
        ValueError: If a column is empty, has not one dimension, has missing values or values of
            a wrong type, or if the columns differ in length.

    Example:
        >>> interactions = Interactions(user=[1, 1, 2], item=["tea", "milk", "tea"])
        >>> len(interactions), interactions.user
        (3, array([1, 1, 2]))
    """

    def __init__(
        self,
        user: npt.ArrayLike | Labels,
        item: npt.ArrayLike | Labels,
        time: npt.ArrayLike | None = None,
        details: Mapping[str, Mapping[Any, str]] | None = None,
    ) -> None:
        self._users = Labels.encode(user, "user")
        self._items = Labels.encode(item, "item")
        self._time = None if time is None else _times(time)
        self._details = {} if details is None else details
        lengths = {"user": len(self._users), "item": len(self._items)}
        if self._time is not None:
            lengths["time"] = len(self._time)
        if len(set(lengths.values())) > 1:
            raise invalid(
                "The columns must have equal lengths.",
                "Pass one value for each interaction in each.",
                **lengths,
            )
        if not len(self):
            raise invalid("There must be interactions.", "Pass at least one.", **lengths)

    @property
    def user(self) -> npt.NDArray[Any]:
        """[n] users: int64, or objects where they are strings; made anew by every call."""
        return self._users.array()

    @property
    def item(self) -> npt.NDArray[Any]:
        """[n] items: int64, or objects where they are strings; made anew by every call."""
        return self._items.array()

    @property
    def time(self) -> npt.NDArray[Any] | None:
        """[n] times, or None."""
        return self._time

    @property
    def details(self) -> Mapping[str, Mapping[Any, str]]:
        """Detail name -> item -> text."""
        return self._details

    @property
    def user_labels(self) -> Labels:
        """The users as they are stored, each distinct one once."""
        return self._users

    @property
    def item_labels(self) -> Labels:
        """The items as they are stored, each distinct one once."""
        return self._items

    def __getitem__(self, rows: Any) -> Interactions:
        """The interactions of some rows: a slice, numbers or a mask."""
        return Interactions(
            self._users[rows],
            self._items[rows],
            None if self._time is None else self._time[rows],
            self._details,
        )

    def __repr__(self) -> str:
        users, items = len(self._users.values), len(self._items.values)
        return f"<Interactions: {len(self)} of {users} users with {items} items>"

    def __len__(self) -> int:
        return len(self._users)


def _times(values: object) -> npt.NDArray[Any]:
    times = np.asarray(values)
    missing: list[int] = []
    if times.dtype == object:
        missing = [place for place, value in enumerate(times.ravel()) if is_missing(value)]
    elif times.dtype.kind in "fM":
        absent = np.isnan(times) if times.dtype.kind == "f" else np.isnat(times)
        missing = np.flatnonzero(absent).tolist()
    if missing:
        raise invalid(
            "`time` must not have missing values.",
            "Leave those rows out.",
            position=missing[0],
            how_many=len(missing),
        )
    if times.dtype.kind not in "iufM":
        raise invalid(
            "`time` must be numbers or datetime64.",
            "Convert it, for example with numpy.array(times, 'datetime64[ms]').",
            dtype=str(times.dtype),
        )
    if times.ndim != 1:
        raise invalid("`time` must have one dimension.", "Pass a column.", shape=times.shape)
    return times
