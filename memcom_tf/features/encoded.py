"""Rows that have ids already."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt


@runtime_checkable
class EncodedRows(Protocol):
    """Rows that know their ids, as those of a prepared data set."""

    def inputs_of(self, features: Any) -> dict[str, npt.NDArray[Any]]:
        """The inputs of a model for all of these rows, as `Features.encode` returns them."""
