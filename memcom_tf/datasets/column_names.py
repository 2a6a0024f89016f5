"""Which column of a log holds what, by the names that such columns usually have."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memcom_tf.datasets.files.columns import listed, shown
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


def usual_column(
    names: Sequence[str], role: str, taken: Sequence[str | None] = (), **where: object
) -> str | None:
    """The column that holds something by its name.

    Args:
        names: The columns that there are.
        role: One of `USUAL`.
        taken: Columns that hold something else.
        **where: What an error says of where they are.

    Returns:
        Its name; None where no column is called so.

    Raises:
        ValueError: If several are.
    """
    names = [name for name in dict.fromkeys(names) if name not in taken]
    for wanted in USUAL[role]:
        folded = {_folded(name) for name in wanted}
        found = [name for name in names if _folded(name) in folded]
        if len(found) > 1:
            ways = " or ".join(argument(role, shown(name)) for name in found)
            raise invalid(
                f"One column must be the {role}.",
                f"Say which: {ways}.",
                found=[shown(name) for name in found],
                **where,
            )
        if found:
            return found[0]
    return None


def required_column(names: Sequence[str], role: str, given: str | None, **where: object) -> str:
    """The column that holds what a log must have: the one that is given, or one by its name.

    Arguments are as of `usual_column`.

    Raises:
        ValueError: If none is called so, or several are.
    """
    found = given or usual_column(names, role, (), **where)
    if found is None:
        raise invalid(
            f"One column must be the {role}.",
            f"There are {listed(tuple(names))}: name it with {argument(role)}.",
            **where,
        )
    return found
