"""What the operators of a graph may take and give: tensors of which types, how many."""

from __future__ import annotations

from .flatbuffer import UINT32, DamagedError
from .graph import Operator, Tensor

_BROADCAST = (0, 18, 41, 42, 55, 57, 78, 90, 95, 99)  # ADD, MUL, SUB, DIV, MAXIMUM, and so on
_COMPARISONS = (58, 61, 62, 63, 71, 72)  # LESS, GREATER, EQUAL, and so on
_UNARY = (8, 14, 19, 21, 28, 47, 59, 73, 75, 76, 92, 101)  # FLOOR, RELU, TANH, EXP, NEG, and so on
# Those of other Keras layers, of which only the number of tensors is checked here.
_OF_ONE = [1, 5, 6, 11, 12, 13, 17, 20, 26, 50, 66, 80, 93, 98, 104, 108, 109, 110, 111, 113, 114]
_OF_ONE += [116, 117, 146, 147, 148, 150, 152, 158, 159]  # pools, DEQUANTIZE, ELU, and so on
_OF_TWO = (23, 34, 54, 56, 79, 97, 100, 105, 107, 112, 115, 125, 128, 145, 149, 156, 160, 161)
_OF_THREE = (37, 38, 60, 64, 96, 122, 151, 153, 154, 155, 157)  # PADV2, SELECT, RANGE, and so on

# Inputs > outputs. T: all of one type; i: int32; I: int32 or int64; A: any; F: float32, W: float32
# or int8; Q: those, or fewer bits; b: bool. One with ? may be missing; one with ~ as well, but not
# be given as none; of one with * there may be many.
RULES: dict[int, str] = {
    **dict.fromkeys(_BROADCAST, "TT>T"),
    **dict.fromkeys(_COMPARISONS, "TT>b"),
    **dict.fromkeys(_UNARY, "T>T"),
    **dict.fromkeys(_OF_ONE, "A>A"),
    **dict.fromkeys(_OF_TWO, "AA>A"),
    **dict.fromkeys(_OF_THREE, "AAA>A"),
    2: "T*>T",  # CONCATENATION
    3: "AAA?>A",  # CONV_2D
    4: "AAA?>A",  # DEPTHWISE_CONV_2D
    7: "iQ>F",  # EMBEDDING_LOOKUP
    9: "FWF?>F",  # FULLY_CONNECTED
    22: "Ti~>T",  # RESHAPE
    24: "AAAAA>A",  # RNN
    25: "T>T",  # SOFTMAX
    27: "AAAA?A>A",  # SVDF
    31: "A*>A*",  # CALL
    35: "AAAAA>A",  # UNIDIRECTIONAL_SEQUENCE_RNN
    36: "TI>T",  # GATHER
    39: "Ti>T",  # TRANSPOSE
    40: "Ti>T",  # MEAN
    43: "T>T",  # SQUEEZE
    44: "AA?AAAA?AAAA?A?A?A?AAAA?A?AAA?A?A?A?>A",  # UNIDIRECTIONAL_SEQUENCE_LSTM
    45: "Tiii>T",  # STRIDED_SLICE
    48: "Ti>Ti",  # TOPK_V2
    49: "AA>A*",  # SPLIT
    53: "A>A",  # CAST
    65: "TII>T",  # SLICE
    67: "AAAA?>A",  # TRANSPOSE_CONV
    68: "AAAA>A",  # SPARSE_TO_DENSE
    69: "TI>T",  # TILE
    70: "TI>T",  # EXPAND_DIMS
    74: "Ti>T",  # SUM
    77: "A>I",  # SHAPE
    81: "Ti>T",  # REDUCE_PROD
    82: "Ti>T",  # REDUCE_MAX
    83: "T*>T",  # PACK
    84: "bb>b",  # LOGICAL_OR
    85: "AAAA>A",  # ONE_HOT
    86: "bb>b",  # LOGICAL_AND
    87: "b>b",  # LOGICAL_NOT
    88: "A>A*",  # UNPACK
    89: "Ti>T",  # REDUCE_MIN
    91: "bi>b",  # REDUCE_ANY
    94: "IT>T",  # FILL
    102: "AAA>A*",  # SPLIT_V
    103: "A>AA",  # UNIQUE
    106: "A*>A",  # ADD_N
    118: "A*>A*",  # IF
    119: "A*>A*",  # WHILE
    123: "bTT>T",  # SELECT_V2
    126: "FF>F",  # BATCH_MATMUL
    129: "A*>A*",  # CALL_ONCE
    130: "TI>T",  # BROADCAST_TO
    132: "AAA?>A",  # CONV_3D
    140: "bi>b",  # REDUCE_ALL
    141: "AAAA?>A",  # CONV_3D_TRANSPOSE
}
_TYPES = {
    "i": ("int32",),
    "I": ("int32", "int64"),
    "F": ("float32",),
    "W": ("float32", "int8"),
    "Q": ("float32", "int8", "int4", "int2"),
    "b": ("bool",),
}
# Subgraphs that an operator runs: fields of its options.
_CALLS = {31: (0,), 118: (0, 1), 119: (0, 1), 129: (0,)}  # CALL, IF, WHILE, CALL_ONCE


def check_types(operator: Operator, tensors: list[Tensor]) -> None:
    """Requires that an operator takes and gives what its kernel reads and writes.

    Raises:
        DamagedError: If it does not, or is none that is known here, such as a custom one.
    """
    rule = RULES.get(operator.code)
    if rule is None:
        raise DamagedError(f"it has the operator {operator.code}, which is not supported")
    takes, _, gives = rule.partition(">")
    dtypes: set[str | None] = set()
    for letters, places in ((takes, operator.inputs), (gives, operator.outputs)):
        found = [None if place < 0 else tensors[place].dtype for place in places]
        if not _fits(letters, found, dtypes):
            raise DamagedError(f"operator {operator.code} has tensors of {found}, not {rule}")
    if len(dtypes) > 1:
        raise DamagedError(f"operator {operator.code} has tensors of {dtypes}")


def _fits(letters: str, found: list[str | None], dtypes: set[str | None]) -> bool:
    """Whether types are as a rule says; collects those that must be one."""
    if letters.endswith("*"):
        dtypes.update(found if letters[0] == "T" else ())
        return None not in found
    marks = [*zip(letters, letters[1:] + " ", strict=True)]
    kinds = [(letter, mark) for letter, mark in marks if letter not in "?~"]
    if len(found) > len(kinds) or not all(mark in "?~" for _, mark in kinds[len(found) :]):
        return False
    for (letter, mark), dtype in zip(kinds, found, strict=False):
        if dtype is None:
            if mark != "?":
                return False
        elif letter == "T":
            dtypes.add(dtype)
        elif letter != "A" and dtype not in _TYPES[letter]:
            return False
    return True


def called_subgraphs(operator: Operator) -> list[int]:
    """The subgraphs that an operator runs: of a loop, a condition or a call."""
    places = _CALLS.get(operator.code, ())
    if not places:
        return []
    if operator.options is None:
        raise DamagedError(f"operator {operator.code} names no subgraph")
    return [operator.options.number(place, UINT32) for place in places]
