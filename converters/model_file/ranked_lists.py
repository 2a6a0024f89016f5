"""Lists of a ranker's file that leave items out, or are of some items only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import for_reader, invalid

Ids = npt.NDArray[np.integer]
Ranked = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_SCORED_AT_A_TIME = 1 << 14


def ranked_list(
    run: Callable[..., dict[str, np.ndarray]],
    inputs: dict[str, Any],
    *,
    k: int,
    longest: int,
    items: Callable[[], Ids],
    exclude: Ids,
    candidates: Ids | None,
) -> Ranked:
    """The best items of a query: ids and scores, falling, of equal ones the smaller id first.

    The list that the graph makes is taken where it is long enough. Else all items that may be in
    it are scored, which gives the same list.

    Args:
        run: Runs a signature of the file.
        inputs: Those of a query by name.
        k: Length of the list; it is shorter where there are fewer items.
        longest: Length of the list that the graph makes.
        items: Gives all ids that may be ranked.
        exclude: Ids to leave out, beside those of the history.
        candidates: Ids to rank; None ranks all.

    Raises:
        ValueError: If `k` is longer than the graph's list, and all items are to be ranked.
    """
    if candidates is None:
        if k > longest:
            raise invalid(
                f"`k` must be in [1, {longest}], as long as the list of the file.",
                for_reader("Convert with a larger `k`.", "Convert with a larger -k."),
                k=k,
            )
        found = run("rank", **inputs)
        left = ~np.isin(found["ids"], exclude)
        if left.sum() >= k:
            return found["ids"][left][:k], found["scores"][left][:k]
        candidates = items()
    left_out = np.concatenate([np.ravel(inputs.get("history", [])), exclude])
    candidates = np.setdiff1d(candidates, left_out.astype(np.int64)).astype(np.int32)
    parts = [
        run("score", **inputs, candidates=candidates[first : first + _SCORED_AT_A_TIME])["scores"]
        for first in range(0, len(candidates), _SCORED_AT_A_TIME)
    ]
    scores = np.concatenate(parts) if parts else np.empty(0, np.float32)
    best = np.argsort(-scores, kind="stable")[:k]
    return candidates[best], scores[best]
