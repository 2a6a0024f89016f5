"""Programs of lookups, good and damaged, and what a good one computes, in NumPy."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace

import numpy as np

EXTREME = [-(2**63), -(2**31), -1, 0, 1, 2, 7, 8, 63, 64, 2**31 - 1, 2**31, 2**51, 2**52, 2**63 - 1]


LOAD, IF_NEGATIVE = 7, 8
OPERATIONS = (
    operator.mod,
    operator.floordiv,
    operator.mul,
    operator.add,
    np.minimum,
    operator.add,
    operator.sub,
)


_MOST_IDS = 10_000


class UnknownError(Exception):
    """The call has more ids than can be looked at here: it may be right."""


class MalformedError(Exception):
    """The oracle cannot run a program."""


@dataclass(frozen=True)
class Call:
    """Tables `[rows, width]`, a program over them, and a batch `[bags, length]` of ids.

    Tables of codes are uint8 or int32, `[rows, width]` too.
    """

    tables: list[np.ndarray]
    code: list[int]
    constants: list[float]
    output_dim: int
    combiner: str
    ids: np.ndarray
    weights: np.ndarray | None
    gradient: np.ndarray
    codes: tuple[np.ndarray, ...] = ()


def random_call(rng: np.random.Generator) -> Call:
    """A good call."""
    input_dim = int(rng.integers(1, 40))
    code, slots = [input_dim], {0: (0, input_dim - 1)}
    instructions, codes = [], []
    for slot in range(1, int(rng.integers(1, 7))):
        operand = int(rng.choice(list(slots)))
        low, high = slots[operand]
        kind = int(rng.integers(0, 9))
        constant = int(rng.integers(1, 9))
        if kind == LOAD:
            if low < 0 or high >= 500:
                operand, high = 0, input_dim - 1
            width, limit = int(rng.integers(1, 4)), int(rng.integers(1, 30))
            dtype = rng.choice([np.uint8, np.int32])
            codes.append(rng.integers(0, limit, (high + 1, width)).astype(dtype))
            slots[slot] = (0, limit - 1)
            column = int(rng.integers(0, width))
            instructions.append((slot, kind, operand, len(codes) - 1, column, limit))
            continue
        if kind == IF_NEGATIVE:
            two = [int(rng.choice(list(slots))) for _ in range(2)]
            lows, highs = zip(*(slots[other] for other in two), strict=True)
            slots[slot] = (min(lows), max(highs))
            instructions.append((slot, kind, operand, *two))
            continue
        if kind == 0:
            bounds = (0, constant - 1)
        elif kind == 1:
            bounds = (low // constant, high // constant)
        elif kind == 2:
            bounds = (low * constant, high * constant)
        elif kind == 3:
            bounds = (low + constant, high + constant)
        elif kind == 4:
            bounds = (min(low, constant), min(high, constant))
        else:
            constant = int(rng.choice(list(slots)))
            other = slots[constant]
            if kind == 5:
                bounds = (low + other[0], high + other[1])
            else:
                bounds = (low - other[1], high - other[0])
        slots[slot] = bounds
        instructions.append((slot, kind, operand, constant))
    usable = [slot for slot, (low, high) in slots.items() if low >= 0 and high < 500]
    code += [len(instructions), *(part for line in instructions for part in line)]
    widths = [int(rng.choice([1, 3, 8])) for _ in range(int(rng.integers(1, 4)))]
    # Of some tables single values are read.
    read = [1 if rng.random() < 0.25 else width for width in widths]
    gathers = [(table, read[table], int(rng.choice(usable))) for table in range(len(widths))]
    if rng.random() < 0.5:
        table = int(rng.integers(len(widths)))
        gathers.append((table, read[table], int(rng.choice(usable))))
    code += [len(gathers), *(part for gather in gathers for part in gather)]
    by_width: dict[int, list[int]] = {}
    for number, (_, width, _) in enumerate(gathers):
        by_width.setdefault(width, []).append(number)
    segments, constants, output_dim = [], [], 0
    narrow = by_width.get(1, [])
    for width, members in by_width.items():
        terms = [[member] for member in members]
        for term in terms:
            if rng.random() < 0.5:
                term.append(int(rng.choice(members + narrow)))
        constants += [float(rng.uniform(-2, 2)) for _ in terms]
        segments += [width, len(terms), *(part for term in terms for part in (len(term), *term))]
        output_dim += width
    code += [len(by_width), *segments]
    rows = [1 + max(slots[slot][1] for t, _, slot in gathers if t == n) for n in range(len(widths))]
    rows = [-(-n * one // all_) for n, one, all_ in zip(rows, read, widths, strict=True)]
    tables = [rng.normal(size=shape).astype(np.float32) for shape in zip(rows, widths, strict=True)]
    combiner = str(rng.choice(["none", "sum", "mean", "sqrtn"]))
    ids = rng.integers(0, input_dim, (int(rng.integers(0, 6)), int(rng.integers(0, 5))))
    weights = None
    if combiner != "none" and rng.random() < 0.5:
        weights = rng.uniform(0.1, 2, ids.shape).astype(np.float32)
    shape = (*(ids.shape if combiner == "none" else ids.shape[:1]), output_dim)
    gradient = rng.normal(size=shape).astype(np.float32)
    dtype = np.int32 if rng.random() < 0.5 else np.int64
    ids = ids.astype(dtype)
    return Call(tables, code, constants, output_dim, combiner, ids, weights, gradient, tuple(codes))


def damaged(call: Call, rng: np.random.Generator) -> Call:
    """The call with one to three things changed."""
    code, constants, changed = list(call.code), list(call.constants), {}
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(len(code))) if code else 0
        kind = int(rng.integers(0, 12))
        if kind <= 3 and code:
            code[place] += int(rng.choice([-2, -1, 1, 2]))
        elif kind <= 5 and code:
            code[place] = int(rng.choice(EXTREME))
        elif kind == 6 and code:
            del code[place]
        elif kind == 7:
            code.insert(place, int(rng.choice(EXTREME[2:9])))
        elif kind == 8:
            code = code[:place]
        elif kind == 9 and constants:
            constants = constants[:-1] if rng.random() < 0.5 else [*constants, 1.0]
        elif kind == 10:
            tables = list(call.tables)
            number = int(rng.integers(len(tables)))
            shape = [max(0, n + int(rng.integers(-1, 2))) for n in tables[number].shape]
            tables[number] = np.ones(shape, np.float32)
            changed["tables"] = tables if rng.random() < 0.7 else tables[:-1] or tables
        elif call.codes and rng.random() < 0.5:
            codes = [table.copy() for table in call.codes]
            number = int(rng.integers(len(codes)))
            if rng.random() < 0.7:
                codes[number].flat[int(rng.integers(codes[number].size))] = rng.choice([30, 255])
            else:
                codes = codes[:number] if rng.random() < 0.5 else [table[:-1] for table in codes]
            changed["codes"] = tuple(codes)
        else:
            what = str(rng.choice(["output_dim", "ids", "gradient", "weights"]))
            changed[what] = {
                "output_dim": int(rng.choice([*EXTREME, call.output_dim + 1])),
                "ids": call.ids + int(rng.integers(-2, 3)),
                "gradient": call.gradient[..., :-1],
                "weights": np.ones(3, np.float32),
            }[what]
    code = [int(np.clip(part, -(2**63), 2**63 - 1)) for part in code]
    return replace(call, code=code, constants=constants, **changed)


def _parse(call: Call):
    code = list(call.code)

    def take(low: int = 0) -> int:
        if not code or code[0] < low or code[0] > 2**52:
            raise MalformedError
        return code.pop(0)

    input_dim = take(1)
    if input_dim > _MOST_IDS:
        raise UnknownError
    slots = {0: np.arange(input_dim, dtype=object)}
    beyond = np.zeros(input_dim, bool)  # ids with a code that reaches its limit
    for _ in range(take()):
        slot, kind, operand = take(1), take(), take()
        if slot > 63 or kind > IF_NEGATIVE or operand not in slots:
            raise MalformedError
        if kind == LOAD:
            found, limit = _loaded(call, slots[operand], take(), take()), take(1)
            bad = (found < 0) | (found >= limit)
            beyond |= bad.astype(bool)
            slots[slot] = np.where(bad, 0, found)
            continue
        constant = code.pop(0) if code else 0
        if kind > 4 and constant not in slots:
            raise MalformedError
        if kind == IF_NEGATIVE:
            other = code.pop(0) if code else -1
            if other not in slots:
                raise MalformedError
            negative = (slots[operand] < 0).astype(bool)
            slots[slot] = np.where(negative, slots[constant], slots[other])
            continue
        if kind < 2 and constant < 1:
            raise MalformedError
        x, y = slots[operand], slots[constant] if kind > 4 else constant
        slots[slot] = OPERATIONS[kind](x, y)
    gathers = [(take(), take(1), take()) for _ in range(take(1))]
    for table, width, slot in gathers:
        if table >= len(call.tables) or slot not in slots:
            raise MalformedError
        if any(t == table and w != width for t, w, _ in gathers):
            raise MalformedError
        values = call.tables[table]
        rows = slots[slot]
        of_values = width == 1 < values.shape[1]
        count = values.size if of_values else len(values)
        if not of_values and values.shape[1] != width:
            raise MalformedError
        if rows.min() < 0 or rows.max() >= count:
            raise MalformedError
    segments = []
    constants = list(call.constants)
    for _ in range(take(1)):
        width = take(1)
        terms = []
        for _ in range(take(1)):
            factors = [take() for _ in range(take(1))]
            if any(f >= len(gathers) or gathers[f][1] not in (1, width) for f in factors):
                raise MalformedError
            if not constants:
                raise MalformedError
            terms.append((constants.pop(0), factors))
        segments.append((width, terms))
    if code or constants or call.output_dim != sum(width for width, _ in segments):
        raise MalformedError
    return beyond, slots, gathers, segments


def _loaded(call: Call, rows: np.ndarray, table: int, column: int) -> np.ndarray:
    if table >= len(call.codes):
        raise MalformedError
    codes = call.codes[table]
    if rows.min() < 0 or rows.max() >= len(codes) or column >= codes.shape[1]:
        raise MalformedError
    return codes[rows.astype(np.int64), column].astype(object)


def answer(call: Call) -> tuple[np.ndarray, list[np.ndarray]]:
    """The vectors, and the gradient of every table as a dense array; float64.

    Raises:
        MalformedError: If the call means nothing.
    """
    beyond, slots, gathers, segments = _parse(call)
    ids = call.ids
    if ids.size and (ids.min() < 0 or ids.max() >= len(beyond) or beyond[ids].any()):
        raise MalformedError
    weights = np.ones(ids.shape) if call.weights is None else call.weights.astype(np.float64)
    pooled = call.combiner != "none"
    shape = (*(ids.shape[:1] if pooled else ids.shape), call.output_dim)
    if weights.shape != ids.shape or call.gradient.shape != shape:
        raise MalformedError
    rows = [slots[slot][ids].astype(np.int64) for _, _, slot in gathers]
    found = [
        call.tables[t].astype(np.float64).reshape(-1, width)[r]
        for (t, width, _), r in zip(gathers, rows, strict=True)
    ]
    upstream = call.gradient.astype(np.float64)
    if pooled:
        total = weights.sum(1) if call.combiner == "mean" else np.sqrt((weights**2).sum(1))
        divisor = np.ones(len(ids)) if call.combiner == "sum" else total
        with np.errstate(divide="ignore"):
            factor = np.where(divisor == 0, 0, 1 / divisor)
        coefficients = weights * factor[:, None]
        upstream = upstream[:, None] * coefficients[..., None]
    slopes = [np.zeros(table.shape) for table in call.tables]
    parts, column = [], 0
    for width, terms in segments:
        g = upstream[..., column : column + width]
        total = np.zeros((*ids.shape, width))
        for constant, factors in terms:
            constant = float(np.float32(constant))
            total += constant * np.prod(
                [np.broadcast_to(found[f], total.shape) for f in factors], 0
            )
            for n, f in enumerate(factors):
                others = [
                    np.broadcast_to(found[o], g.shape) for m, o in enumerate(factors) if m != n
                ]
                by = constant * g * np.prod(others, 0) if others else constant * g
                if gathers[f][1] == 1 and width > 1:
                    by = by.sum(-1, keepdims=True)
                np.add.at(slopes[gathers[f][0]].reshape(-1, gathers[f][1]), rows[f], by)
        parts.append(total)
        column += width
    vectors = np.concatenate(parts, -1)
    if pooled:
        vectors = (vectors * coefficients[..., None]).sum(1)
    return vectors, slopes
