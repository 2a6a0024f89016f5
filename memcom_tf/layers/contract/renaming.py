"""Arguments by names that they have had: saved models, and code of before, still use them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from memcom_tf.errors import message

RENAMED = {"num_unshared": "num_dedicated"}


def taking_renamed(init: Callable[..., None], renamed: Mapping[str, str]) -> Callable[..., None]:
    """A constructor that also takes arguments by their names of before."""

    @functools.wraps(init)
    def taking(self: Any, *args: Any, **kwargs: Any) -> None:
        for before, now in renamed.items():
            if before in kwargs and now in kwargs:
                raise TypeError(
                    message(
                        f"`{now}` must be given once.",
                        f"Leave out `{before}`, as it was called.",
                        **{name: kwargs[name] for name in (before, now)},
                    )
                )
            if before in kwargs:
                kwargs[now] = kwargs.pop(before)
        init(self, *args, **kwargs)

    return taking
