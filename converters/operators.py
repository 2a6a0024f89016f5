"""What the operators of a graph may take and give: tensors of which types, how many."""

from __future__ import annotations

from .flatbuffer import UINT32, DamagedError
from .graph import Operator, Tensor

_BROADCAST = (0, 18, 41, 42, 55, 57, 78, 90, 95, 99)  # ADD, MUL, SUB, DIV, MAXIMUM, and so on
_COMPARISONS = (58, 61, 62, 63, 71, 72)  # LESS, GREATER, EQUAL, and so on
_UNARY = (8, 14, 19, 21, 28, 47, 59, 73, 75, 76, 92, 101)  # FLOOR, RELU, TANH, EXP, NEG, and so on

# Inputs > outputs. T: all of one type; i: int32; I: int32 or int64; A: any; F: float32, W: float32
# or int8; b: bool. The one before ? may be missing, and those before * may be many.
_RULES: dict[int, str] = {
    **dict.fromkeys(_BROADCAST, "TT>T"),
    **dict.fromkeys(_COMPARISONS, "TT>b"),
    **dict.fromkeys(_UNARY, "T>T"),
    2: "T*>T",  # CONCATENATION
    9: "FWF?>F",  # FULLY_CONNECTED
    22: "Ti?>T",  # RESHAPE
    25: "T>T",  # SOFTMAX
    36: "TI>T",  # GATHER
    39: "Ti>T",  # TRANSPOSE
    40: "Ti>T",  # MEAN
    43: "T>T",  # SQUEEZE
    45: "Tiii>T",  # STRIDED_SLICE
    48: "Ti>Ti",  # TOPK_V2
    53: "A>A",  # CAST
    65: "TII>T",  # SLICE
    69: "TI>T",  # TILE
    70: "TI>T",  # EXPAND_DIMS
    74: "Ti>T",  # SUM
    77: "A>I",  # SHAPE
    81: "Ti>T",  # REDUCE_PROD
    82: "Ti>T",  # REDUCE_MAX
    83: "T*>T",  # PACK
    84: "bb>b",  # LOGICAL_OR
    86: "bb>b",  # LOGICAL_AND
    87: "b>b",  # LOGICAL_NOT
    89: "Ti>T",  # REDUCE_MIN
    91: "bi>b",  # REDUCE_ANY
    94: "IT>T",  # FILL
    123: "bTT>T",  # SELECT_V2
    126: "FF>F",  # BATCH_MATMUL
    130: "TI>T",  # BROADCAST_TO
    140: "bi>b",  # REDUCE_ALL
}
_TYPES = {
    "i": ("int32",),
    "I": ("int32", "int64"),
    "F": ("float32",),
    "W": ("float32", "int8"),
    "b": ("bool",),
}
# Subgraphs that an operator runs: fields of its options.
_CALLS = {31: (0,), 118: (0, 1), 119: (0, 1), 129: (0,)}  # CALL, IF, WHILE, CALL_ONCE
_LAST = 161
"""Those behind it are of other dialects, with subgraphs and loops of their own."""
_EXCLUDED = {32, 51, 127}  # CUSTOM, DELEGATE, and a placeholder
_LATER = (203, 205)


def check_types(operator: Operator, tensors: list[Tensor]) -> None:
    """Requires that an operator takes and gives what its kernel reads and writes.

    Operators that are not in the table are left to the runtime.

    Raises:
        DamagedError: If it does not.
    """
    code = operator.code
    if code in _EXCLUDED or not (0 <= code <= _LAST or code in _LATER):
        raise DamagedError(f"it has the operator {code}")
    rule = _RULES.get(code)
    if rule is None:
        return
    takes, _, gives = rule.partition(">")
    found = [None if place < 0 else tensors[place].dtype for place in operator.inputs]
    outputs: list[str | None] = [tensors[place].dtype for place in operator.outputs]
    if takes.endswith("?"):
        takes = takes[:-1] if len(found) == len(takes) - 1 else takes[:-2]
        if found and found[-1] is None:
            takes, found = takes[:-1], found[:-1]
    elif takes.endswith("*"):
        takes = takes[0] * len(found) if found else takes
    one_type = ""
    fits = (len(takes), len(gives)) == (len(found), len(outputs))
    for letter, dtype in zip(takes + gives, found + outputs, strict=False):
        if letter == "T":
            one_type = one_type or (dtype or "")
            fits &= dtype == one_type
        elif letter == "A":
            fits &= dtype is not None
        else:
            fits &= dtype in _TYPES[letter]
    if not fits:
        raise DamagedError(f"operator {code} has {found} and gives {outputs}")


def called_subgraphs(operator: Operator) -> list[int]:
    """The subgraphs that an operator runs: of a loop, a condition or a call."""
    places = _CALLS.get(operator.code, ())
    if not places:
        return []
    if operator.options is None:
        raise DamagedError(f"operator {operator.code} names no subgraph")
    return [operator.options.number(place, UINT32) for place in places]
