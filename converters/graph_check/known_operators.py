"""Uses of operators that no kernel can stumble over, operator by operator.

These are the operators of rankers and of models of tables and Dense layers, in the types, shapes
and options that TensorFlow's converter writes. Each rule gives what the operator will compute, or
gives up. What no rule covers runs in a process of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .known_values import (
    FREE,
    NotKnownError,
    Use,
    Value,
    axis_of,
    broadcast,
    checked_shape,
    number_of,
    numbers_of,
    require,
)

_FLOAT = ("float32",)
_NUMBERS = ("float32", "int32", "int64")
_PLAIN = (*_NUMBERS, "bool", "int8", "int16", "uint8")
_RANK = 4
_SOFTMAX, _PRODUCT, _ANY, _MEAN, _ALL = 25, 81, 91, 40, 140
_NUM_ACTIVATIONS = 4  # none, relu, relu of -1 to 1, relu6

Rule = Callable[[Use], list[Value]]
RULES: dict[int, Rule] = {}


def _rule(*codes: int) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(codes, rule))
        return rule

    return add


def _plain(value: Value, dtypes: tuple[str, ...] = _PLAIN, most: int = _RANK) -> None:
    """Requires a type and a rank, and that values are what they are: no scale is theirs."""
    require(value.dtype in dtypes and value.rank <= most)
    require(value.constant is None or value.constant.quantization is None)


def _combined(use: Use, dtypes: tuple[str, ...]) -> tuple[list[Value], tuple[int, ...]]:
    values = use.inputs(2)
    for value in values:
        _plain(value, dtypes)
    require(values[0].dtype == values[1].dtype)
    return values, broadcast(*(value.shape for value in values))


@_rule(0, 41, 18, 42)  # ADD, SUB, MUL, DIV
def _arithmetic(use: Use) -> list[Value]:
    options, dtypes = {
        0: (11, _NUMBERS),
        41: (28, _NUMBERS),
        18: (21, _NUMBERS),
        42: (29, _FLOAT),
    }[use.operator.code]
    use.options_of(options)
    values, shape = _combined(use, dtypes)
    activation = use.flag(0)
    require(activation == 0 or (values[0].dtype == "float32" and activation < _NUM_ACTIVATIONS))
    return [values[0].of_shape(shape)]


@_rule(55, 57)  # MAXIMUM, MINIMUM
def _extreme(use: Use) -> list[Value]:
    values, shape = _combined(use, _NUMBERS)
    return [values[0].of_shape(shape)]


@_rule(99)  # SQUARED_DIFFERENCE
def _squared_difference(use: Use) -> list[Value]:
    values, shape = _combined(use, _FLOAT)
    return [values[0].of_shape(shape)]


@_rule(90, 95)  # FLOOR_DIV, FLOOR_MOD
def _divided(use: Use) -> list[Value]:
    values, shape = _combined(use, ("int32", "int64"))
    # The processor stops at the least integer over -1.
    require(all(number > 0 for number in numbers_of(values[1])))
    return [values[0].of_shape(shape)]


@_rule(58, 61, 62, 63, 71, 72)  # LESS, GREATER, EQUAL and so on
def _compared(use: Use) -> list[Value]:
    _, shape = _combined(use, _NUMBERS)
    return [Value("bool", shape)]


@_rule(84, 86)  # LOGICAL_OR, LOGICAL_AND
def _logical(use: Use) -> list[Value]:
    _, shape = _combined(use, ("bool",))
    return [Value("bool", shape)]


@_rule(87)  # LOGICAL_NOT
def _not(use: Use) -> list[Value]:
    (value,) = use.inputs(1)
    _plain(value, ("bool",))
    return [value.of_shape(value.shape)]


@_rule(123)  # SELECT_V2
def _selected(use: Use) -> list[Value]:
    condition, first, second = use.inputs(3)
    _plain(condition, ("bool",))
    for value in (first, second):
        _plain(value, _NUMBERS)
    require(first.dtype == second.dtype)
    return [first.of_shape(broadcast(condition.shape, first.shape, second.shape))]


# FLOOR, LOGISTIC, RELU, RELU6, TANH, EXP, NEG, LOG, SQRT, RSQRT, SQUARE, ABS
@_rule(8, 14, 19, 21, 28, 47, 59, 73, 75, 76, 92, 101)
# RELU_N1_TO_1, SIN, ZEROS_LIKE, LEAKY_RELU, CEIL, COS, ELU, ROUND, HARD_SWISH, GELU, RELU_0_TO_1
@_rule(20, 66, 93, 98, 104, 108, 111, 116, 117, 150, 152)
def _of_each_float(use: Use) -> list[Value]:
    (value,) = use.inputs(1)
    _plain(value, _FLOAT)
    return [value.of_shape(value.shape)]


@_rule(53)  # CAST
def _cast(use: Use) -> list[Value]:
    (value,) = use.inputs(1)
    # A table that is multiplied as well has the scale of the product.
    require(value.dtype in (*_PLAIN, "float16") and use.outputs[0].dtype in _PLAIN)
    return [Value(use.outputs[0].dtype, value.shape)]


@_rule(159)  # BITCAST
def _same_bits(use: Use) -> list[Value]:
    (value,) = use.inputs(1)
    require((value.dtype, use.outputs[0].dtype) in (("int16", "float16"), ("float16", "int16")))
    return [Value(use.outputs[0].dtype, value.shape)]


@_rule(6)  # DEQUANTIZE, of float16
def _dequantized(use: Use) -> list[Value]:
    (value,) = use.inputs(1)
    _plain(value, ("float16",))
    return [Value("float32", value.shape)]


@_rule(25, 50)  # SOFTMAX, LOG_SOFTMAX
def _softmax(use: Use) -> list[Value]:
    if use.operator.code == _SOFTMAX:
        use.options_of(9)
    (value,) = use.inputs(1)
    _plain(value, _FLOAT)
    require(value.rank > 0)
    return [value.of_shape(value.shape)]


@_rule(36)  # GATHER
def _gathered(use: Use) -> list[Value]:
    use.options_of(23)
    values, ids = use.inputs(2)
    _plain(ids, ("int32", "int64"))
    require(values.dtype in (*_PLAIN, "float16") and 0 < values.rank <= _RANK)
    axis, batch = axis_of(use.number(0), values.rank), use.number(1)
    require(batch == 0)
    shape = (*values.shape[:axis], *ids.shape, *values.shape[axis + 1 :])
    numbers = None
    if values.numbers is not None and ids.numbers is not None and values.rank == 1:
        require(all(0 <= place < len(values.numbers) for place in ids.numbers))
        numbers = tuple(values.numbers[place] for place in ids.numbers)
    return [Value(values.dtype, checked_shape(shape), numbers)]


@_rule(7)  # EMBEDDING_LOOKUP
def _embedded(use: Use) -> list[Value]:
    ids, table = use.inputs(2)
    _plain(ids, ("int32",))
    require(ids.rank == 1 and table.rank == 2 and table.constant is not None)
    whole_bytes = {"float32": 1, "int8": 1, "int4": 2, "int2": 4}.get(table.dtype, 0)
    require(whole_bytes > 0 and table.shape[1] % whole_bytes == 0)
    _scaled(table, table.dtype != "float32")
    return [Value("float32", (ids.shape[0], table.shape[1]))]


def _scaled(table: Value, is_integer: bool) -> None:
    """Requires scales of integers, one or one a row, and none of floats."""
    assert table.constant is not None
    scales = table.constant.quantization
    if not is_integer:
        require(scales is None)
        return
    require(scales is not None and scales.is_symmetric and scales.num_scales in (1, table.shape[0]))


@_rule(9)  # FULLY_CONNECTED
def _product(use: Use) -> list[Value]:
    use.options_of(8)
    x, weights, bias = use.optional(0), use.optional(1), use.optional(2)
    if x is None or weights is None:
        raise NotKnownError
    _plain(x, _FLOAT)
    require(x.rank > 0 and weights.rank == 2 and x.shape[-1] == weights.shape[1] != FREE)
    require(weights.dtype == "float32" or (weights.dtype == "int8" and x.rank == 2))
    if weights.constant is None:
        require(weights.dtype == "float32")
    else:
        _scaled(weights, weights.dtype == "int8")
    if bias is not None:
        _plain(bias, _FLOAT)
        require(bias.constant is not None and bias.shape == (weights.shape[0],))
    require(use.flag(0) < _NUM_ACTIVATIONS and use.flag(1) == 0)
    before = x.shape[:-1]
    if not use.flag(2):
        before = (FREE if FREE in before else math.prod(before),)
    return [Value("float32", checked_shape((*before, weights.shape[0])))]


@_rule(126)  # BATCH_MATMUL
def _matrix_product(use: Use) -> list[Value]:
    use.options_of(101)
    x, y = use.inputs(2)
    for value in (x, y):
        _plain(value, _FLOAT)
    require(x.rank == y.rank and x.rank >= 2)
    rows, inner = (x.shape[-1], x.shape[-2]) if use.flag(0) else x.shape[-2:]
    inner_of_y, columns = (y.shape[-1], y.shape[-2]) if use.flag(1) else y.shape[-2:]
    require(inner == inner_of_y != FREE)
    return [x.of_shape(checked_shape((*broadcast(x.shape[:-2], y.shape[:-2]), rows, columns)))]


@_rule(74, 40, 81, 82, 89, 91, 140)  # SUM, MEAN, REDUCE_PROD, _MAX, _MIN, _ANY, _ALL
def _reduced(use: Use) -> list[Value]:
    use.options_of(27)
    value, axes = use.inputs(2)
    of_bools = {_ANY: ("bool",), _ALL: ("bool",), _MEAN: _FLOAT}
    dtypes = of_bools.get(use.operator.code, ("float32", "int32"))
    _plain(value, dtypes)
    require(value.rank > 0 and axes.dtype == "int32")
    gone = {axis_of(axis, value.rank) for axis in numbers_of(axes)}
    require(bool(gone))
    if use.flag(0):
        shape = tuple(1 if place in gone else size for place, size in enumerate(value.shape))
    else:
        shape = tuple(size for place, size in enumerate(value.shape) if place not in gone)
    numbers = None
    if use.operator.code == _PRODUCT and value.numbers is not None and shape == ():
        numbers = (FREE if FREE in value.numbers else math.prod(value.numbers),)
    return [Value(value.dtype, shape, numbers)]


@_rule(48)  # TOPK_V2
def _best(use: Use) -> list[Value]:
    value, k = use.inputs(2)
    _plain(value, _FLOAT)
    require(value.rank > 0 and k.dtype == "int32")
    count = number_of(k)
    require(0 < count <= value.shape[-1])
    shape = (*value.shape[:-1], count)
    return [Value("float32", shape), Value("int32", shape)]
