"""Uses of operators that move values, which no kernel can stumble over: see `known_operators`."""

from __future__ import annotations

import math

from .known_operators import _PLAIN, _RANK, _plain, _rule
from .known_values import (
    FREE,
    Use,
    Value,
    axis_of,
    broadcast,
    checked_shape,
    number_of,
    numbers_of,
    require,
)

_PADDED = ("float32", "int32")


@_rule(22)  # RESHAPE
def _reshaped(use: Use) -> list[Value]:
    values = use.inputs(1, 2)
    value = values[0]
    require(value.dtype in _PLAIN)
    require(len(values) == 2 and values[1].dtype == "int32" and values[1].rank == 1)
    sizes = values[1].numbers
    require(sizes is not None and len(sizes) <= _RANK)
    wanted = list(sizes or ())
    if FREE in wanted and FREE not in value.shape:
        require(wanted.count(FREE) == 1)
        rest = math.prod(size for size in wanted if size != FREE)
        require(rest > 0 and value.num_values % rest == 0)
        wanted[wanted.index(FREE)] = value.num_values // rest
    shape = checked_shape(wanted)
    if FREE not in value.shape:
        require(math.prod(shape) == value.num_values)
    return [Value(value.dtype, shape, value.numbers)]


@_rule(77)  # SHAPE
def _shape(use: Use) -> list[Value]:
    (value,) = use.inputs(1)
    use.options_of(55)
    dtype = use.outputs[0].dtype
    require(use.flag(0) == {"int32": 2, "int64": 4}.get(dtype) and value.rank > 0)
    return [Value(dtype, (value.rank,), value.shape)]


@_rule(45)  # STRIDED_SLICE
def _strided(use: Use) -> list[Value]:
    use.options_of(32)
    value, begin, end, strides = use.inputs(4)
    _plain(value)
    bounds = [numbers_of(part) for part in (begin, end, strides)]
    require({part.dtype for part in (begin, end, strides)} == {"int32"})
    require({len(part) for part in bounds} == {value.rank} and value.rank > 0)
    begins, ends, ellipses, new_axes, shrunk = (use.number(index) for index in range(5))
    require(ellipses == 0 and new_axes == 0 and use.flag(5) == 0)
    shape, taken = [], slice(None)
    for place, size in enumerate(value.shape):
        first, last, stride = (part[place] for part in bounds)
        bit = 1 << place
        if size == FREE:
            whole = (begins & bit or first == 0) and ends & bit and stride == 1
            require(bool(whole) and not shrunk & bit)
            shape.append(FREE)
            continue
        require(stride != 0)
        if shrunk & bit:
            taken = slice(axis_of(first, size), axis_of(first, size) + 1)
            require(stride == 1)
            continue
        taken = slice(None if begins & bit else first, None if ends & bit else last, stride)
        shape.append(len(range(*taken.indices(size))))
    numbers = value.numbers[taken] if value.numbers and value.rank == 1 else None
    return [Value(value.dtype, checked_shape(shape), numbers)]


@_rule(65)  # SLICE: the kernel checks where it begins
def _slice(use: Use) -> list[Value]:
    value, begin, size = use.inputs(3)
    _plain(value)
    sizes = numbers_of(size)
    require(begin.dtype == size.dtype == "int32" and begin.shape == size.shape == (value.rank,))
    require(FREE not in value.shape)
    require(all(0 < part <= whole for part, whole in zip(sizes, value.shape, strict=True)))
    return [value.of_shape(sizes)]


@_rule(70)  # EXPAND_DIMS
def _expanded(use: Use) -> list[Value]:
    value, axis = use.inputs(2)
    _plain(value, most=_RANK - 1)
    require(axis.dtype == "int32")
    place = axis_of(number_of(axis), value.rank + 1)
    return [value.of_shape((*value.shape[:place], 1, *value.shape[place:]))]


@_rule(39)  # TRANSPOSE
def _transposed(use: Use) -> list[Value]:
    value, order = use.inputs(2)
    _plain(value)
    places = numbers_of(order)
    require(order.dtype == "int32" and sorted(places) == [*range(value.rank)])
    return [value.of_shape(tuple(value.shape[place] for place in places))]


@_rule(2)  # CONCATENATION
def _joined(use: Use) -> list[Value]:
    use.options_of(10)
    values = use.inputs()
    require(bool(values))
    first = values[0]
    for value in values:
        _plain(value)
        require(value.dtype == first.dtype and value.rank == first.rank > 0)
    axis = axis_of(use.number(0), first.rank)
    require(use.flag(1) == 0)
    for value in values:
        require(value.shape[:axis] == first.shape[:axis])
        require(value.shape[axis + 1 :] == first.shape[axis + 1 :])
    along = [value.shape[axis] for value in values]
    total = FREE if FREE in along else sum(along)
    numbers = None
    if first.rank == 1 and all(value.numbers is not None for value in values):
        numbers = tuple(number for value in values for number in value.numbers or ())
    shape = checked_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))
    return [Value(first.dtype, shape, numbers)]


@_rule(83)  # PACK
def _packed(use: Use) -> list[Value]:
    use.options_of(59)
    values = use.inputs()
    require(use.number(0) == len(values) > 0)
    first = values[0]
    for value in values:
        _plain(value, most=_RANK - 1)
        require((value.dtype, value.shape) == (first.dtype, first.shape))
    axis = axis_of(use.number(1), first.rank + 1)
    numbers = None
    if first.rank == 0 and all(value.numbers is not None for value in values):
        numbers = tuple(number for value in values for number in value.numbers or ())
    shape = (*first.shape[:axis], len(values), *first.shape[axis:])
    return [Value(first.dtype, shape, numbers)]


@_rule(49)  # SPLIT
def _split(use: Use) -> list[Value]:
    use.options_of(35)
    axis, value = use.inputs(2)
    _plain(value)
    require(axis.dtype == "int32" and use.number(0) == len(use.outputs) and value.rank > 0)
    place = axis_of(number_of(axis), value.rank)
    size, parts = value.shape[place], len(use.outputs)
    require(size != FREE and size % parts == 0)
    shape = (*value.shape[:place], size // parts, *value.shape[place + 1 :])
    return [value.of_shape(shape)] * parts


@_rule(88)  # UNPACK
def _unpacked(use: Use) -> list[Value]:
    use.options_of(64)
    (value,) = use.inputs(1)
    _plain(value)
    require(value.rank > 0)
    place = axis_of(use.number(1), value.rank)
    require(use.number(0) == len(use.outputs) == value.shape[place])
    return [value.of_shape((*value.shape[:place], *value.shape[place + 1 :]))] * len(use.outputs)


@_rule(69)  # TILE
def _tiled(use: Use) -> list[Value]:
    value, multiples = use.inputs(2)
    _plain(value)
    times = numbers_of(multiples)
    require(multiples.dtype == "int32" and len(times) == value.rank > 0 and min(times) > 0)
    require(all(n == 1 for n, size in zip(times, value.shape, strict=True) if size == FREE))
    return [value.of_shape(tuple(n * size for n, size in zip(times, value.shape, strict=True)))]


@_rule(34, 60)  # PAD, PADV2
def _padded(use: Use) -> list[Value]:
    values = use.inputs(2 if use.operator.code == 34 else 3)
    value, amounts = values[:2]
    _plain(value, _PADDED)
    require(amounts.dtype == "int32" and amounts.shape == (value.rank, 2))
    numbers = numbers_of(amounts)
    require(min(numbers) >= 0)
    for filling in values[2:]:
        _plain(filling, (value.dtype,))
        require(filling.num_values == 1 and FREE not in filling.shape)
    added = [before + after for before, after in zip(numbers[::2], numbers[1::2], strict=True)]
    pairs = list(zip(value.shape, added, strict=True))
    require(all(more == 0 for size, more in pairs if size == FREE))
    return [value.of_shape(tuple(size + more for size, more in pairs))]


@_rule(130)  # BROADCAST_TO
def _broadcast_to(use: Use) -> list[Value]:
    value, sizes = use.inputs(2)
    _plain(value, ("float32", "int32", "bool"))
    require(sizes.dtype in ("int32", "int64") and sizes.rank == 1 and sizes.constant is None)
    shape = checked_shape(sizes.numbers or ())
    require(value.rank <= len(shape) <= _RANK and broadcast(value.shape, shape) == shape)
    return [value.of_shape(shape)]


@_rule(94)  # FILL
def _filled(use: Use) -> list[Value]:
    sizes, value = use.inputs(2)
    _plain(value, ("float32", "int32", "bool"))
    require(sizes.dtype == "int32" and sizes.rank == 1 and value.rank == 0)
    require(sizes.numbers is not None and len(sizes.numbers) <= _RANK)
    require(sizes.constant is None or FREE not in (sizes.numbers or ()))
    return [value.of_shape(checked_shape(sizes.numbers or ()))]
