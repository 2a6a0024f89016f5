"""Which row of a shared table an id reads: one of its own, or that of its bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import invalid
from memcom_tf.tables.table import check_num_buckets, check_positive

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class RowSharing:
    """How ids share the rows of a table.

    Id `i` reads row `i` below `num_dedicated = h`, and row `h + (i - h) mod num_buckets` from there
    on.

    Attributes:
        num_buckets: Rows that ids share.
        num_dedicated: Ids from 0 on that have a row of their own.

    Raises:
        ValueError: If a number is none.

    Example:
        >>> sharing = RowSharing(num_buckets=2, num_dedicated=2)
        >>> sharing.rows_of([0, 1, 2, 3, 4, 5]).tolist(), sharing.num_rows
        ([0, 1, 2, 3, 2, 3], 4)
    """

    num_buckets: int
    num_dedicated: int = 0

    def __post_init__(self) -> None:
        check_positive(num_buckets=self.num_buckets)
        if self.num_dedicated:
            check_positive(num_dedicated=self.num_dedicated)
        # NumPy's integers are no JSON.
        for name, value in vars(self).items():
            object.__setattr__(self, name, int(value))

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        return self.num_dedicated + self.num_buckets

    def of_ids(self, input_dim: int) -> Self:
        """The same, where there is an id for every row.

        Raises:
            ValueError: If there is none.
        """
        check_num_buckets(self.num_buckets, input_dim)
        if self.num_dedicated > input_dim - self.num_buckets:
            raise invalid(
                f"`num_dedicated` must be in [0, {input_dim - self.num_buckets}], "
                "which leaves an id for every bucket.",
                num_dedicated=self.num_dedicated,
                num_buckets=self.num_buckets,
                input_dim=input_dim,
            )
        return self

    def rows_of(self, ids: npt.ArrayLike) -> npt.NDArray[Any]:
        """The rows of ids."""
        ids = np.asarray(ids)
        own = np.minimum(ids, self.num_dedicated)
        return own + (ids - own) % self.num_buckets

    def rows_in_graph(self, xp: Any, ids: Any) -> Any:
        """The same by the operations of a lookup."""
        if not self.num_dedicated:
            return ids % self.num_buckets
        own = xp.minimum(ids, self.num_dedicated)
        return own + (ids - own) % self.num_buckets

    def spread_over_ids(self, xp: Any, scores: Any, input_dim: int) -> Any:
        """Scores `[b, input_dim]` of all ids, from those of the rows `[b, num_rows]`."""
        own = self.num_dedicated
        shared = input_dim - own
        repeats = -(-shared // self.num_buckets)
        spread = xp.tile(scores[:, own:], repeats)[:, :shared]
        return xp.concat([scores[:, :own], spread]) if own else spread

    def arguments(self) -> dict[str, int]:
        """What the constructors of layers take, and their configs hold."""
        return {"num_buckets": self.num_buckets, "num_dedicated": self.num_dedicated}
