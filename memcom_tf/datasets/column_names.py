"""Which column of a log holds what, by the names that such columns usually have."""

from __future__ import annotations

import re

from memcom_tf.datasets.files.columns import ColumnFile, listed, shown
from memcom_tf.errors import argument, invalid

_NAMES = {
    "user": (
        "user",
        "userId uid userName reviewerId customer customerId visitor visitorId member memberId "
        "profileId buyer buyerId",
        "session sessionId",
    ),
    "item": (
        "item",
        "itemId iid product productId movie movieId film filmId asin parentAsin article articleId "
        "bookId isbn trackId songId artistId videoId gameId newsId businessId sku stockCode",
    ),
    "time": (
        "time timestamp date datetime unixReviewTime unixTime unixTimestamp ts eventTime "
        "eventTimestamp eventDate createdAt",
    ),
    "title": ("title itemTitle productTitle movieTitle bookTitle",),
}
USUAL = {role: tuple(names.split() for names in of) for role, of in _NAMES.items()}
"""What columns are called, by what they hold; those in front are taken before those behind.

Capitals, blanks, `_`, `-` and `.` make no difference: `userId` stands for `user_id` and `USERID`.
"""


def _folded(name: str) -> str:
    return re.sub(r"[\s_.\-]", "", name).casefold()


def usual_column(file: ColumnFile, role: str, taken: tuple[str | None, ...] = ()) -> str | None:
    """The column that holds something by its name.

    Args:
        file: An open file.
        role: One of `USUAL`.
        taken: Columns that hold something else.

    Returns:
        Its name; None where no column is called so.

    Raises:
        ValueError: If several are.
    """
    names = [name for name in dict.fromkeys(file.names) if name not in taken]
    for wanted in USUAL[role]:
        folded = {_folded(name) for name in wanted}
        found = [name for name in names if _folded(name) in folded]
        if len(found) > 1:
            ways = " or ".join(argument(role, shown(name)) for name in found)
            raise invalid(
                f"One column must be the {role}.",
                f"Say which: {ways}.",
                found=[shown(name) for name in found],
                path=str(file.path),
            )
        if found:
            return found[0]
    return None


def required_column(file: ColumnFile, role: str, given: str | None) -> str:
    """The column that holds what a log must have: the one that is given, or one by its name.

    Raises:
        ValueError: If none is called so, or several are.
    """
    found = given or usual_column(file, role)
    if found is None:
        raise invalid(
            f"One column must be the {role}.",
            f"The file has {listed(file.names)}: name it with {argument(role)}.",
            path=str(file.path),
        )
    return found
