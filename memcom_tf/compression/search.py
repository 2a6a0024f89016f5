"""What makes a file as large as it may be: tables whose graph is not known before it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Made = TypeVar("Made")

ROUNDS = 6
"""Attempts at most."""


class Fitting(NamedTuple, Generic[Made]):
    """What fits.

    Attributes:
        made: It.
        file_bytes: Bytes of its file.
        room: Bytes of tables that it was made for.
    """

    made: Made
    file_bytes: int
    room: float


def largest_file(
    limit: int,
    room: float,
    make: Callable[[int], Made | None],
    file_bytes: Callable[[Made], int],
    *,
    spare: float,
) -> Fitting[Made] | None:
    """Finds what fills a file of at most so many bytes.

    What a graph takes beside its tables differs between methods, and grows with some: it is looked
    for between a file that is too small and one that is too large.

    Args:
        limit: Bytes of the file, at most.
        room: Bytes of its tables, as a first guess.
        make: Takes bytes of tables; None where nothing is that small. What is equal has equal
            texts.
        file_bytes: Bytes of the file of what was made.
        spare: Share of the bytes that may be left over.

    Returns:
        The largest that was found in six attempts; None where none fits.

    Example:
        >>> def file_bytes(items):
        ...     return 9 * items + 150
        >>> largest_file(1000, 900.0, lambda room: room // 9, file_bytes, spare=0.01)
        Fitting(made=94, file_bytes=996, room=851.984126984127)
    """
    tried: set[str] = set()
    best: Fitting[Made] | None = None
    below: tuple[float, int] | None = None
    above: tuple[float, int] | None = None
    for _ in range(ROUNDS):
        made = make(max(0, int(room)))
        if str(made) in tried or (made is None and above is None):
            break
        over = -limit  # of no tables
        if made is not None:
            tried.add(str(made))
            over += file_bytes(made)
        if over > 0:
            above = room, over
        else:
            below = room, over
            best = best if made is None else Fitting(made, over + limit, room)
        if -spare * limit <= over <= 0:
            break
        wanted, slope = -spare * limit / 2, 1.0
        if below and above:
            slope = (above[0] - below[0]) / (above[1] - below[1])
        room += slope * (wanted - over)
    return best
