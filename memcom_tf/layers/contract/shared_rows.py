"""What layers tell of how their ids share rows."""

from __future__ import annotations

from memcom_tf.layers.contract.layer import CompressedEmbedding
from memcom_tf.tables import RowSharing


class SharedRows(CompressedEmbedding):
    """A layer whose ids share the rows of a table."""

    sharing: RowSharing

    @property
    def num_buckets(self) -> int:
        """Rows that ids share."""
        return self.sharing.num_buckets

    @property
    def num_dedicated(self) -> int:
        """Ids from 0 on that have a row of their own."""
        return self.sharing.num_dedicated
