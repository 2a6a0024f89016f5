"""Tables: what they are for, how they are stored, and who shares a row of them."""

from memcom_tf.tables.ranges import RangedTable, RowRange
from memcom_tf.tables.sharing import RowSharing
from memcom_tf.tables.storage import (
    FLOAT16,
    FLOAT32,
    INT8_PER_ROW,
    INT8_PER_TABLE,
    INT16_PER_TABLE,
    Levels,
    Scales,
    Storage,
    StorageField,
    StorageLike,
)
from memcom_tf.tables.table import (
    Kind,
    Table,
    Tables,
    TableValue,
    check_num_buckets,
    check_positive,
)

__all__ = [
    "FLOAT16",
    "FLOAT32",
    "INT8_PER_ROW",
    "INT8_PER_TABLE",
    "INT16_PER_TABLE",
    "Kind",
    "Levels",
    "RangedTable",
    "RowRange",
    "RowSharing",
    "Scales",
    "Storage",
    "StorageField",
    "StorageLike",
    "Table",
    "TableValue",
    "Tables",
    "check_num_buckets",
    "check_positive",
]
