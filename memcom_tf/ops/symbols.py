"""What a lookup computes, as symbols: arithmetic on an id, gathers, sums of their products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from memcom_tf.ops.interface import UnsupportedOpError
from memcom_tf.tables import Table

_LARGEST_INTEGER = 2**51
"""The kernels divide integers in double precision, exactly up to here."""


def _refusing(does: str) -> Any:
    def refuse(self: Symbol, *_: Any) -> Any:
        raise UnsupportedOpError(f"it {does} {self._noun}")

    return refuse


class Symbol:
    """What is computed instead of a number: Python's operators, of which a subclass has some."""

    __array_ufunc__ = None  # so that `array * symbol` asks the symbol

    _noun: ClassVar[str]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnsupportedOpError(f"it asks {self._noun} for their {name}")

    __getitem__ = __iter__ = __len__ = __array__ = _refusing("indexes")
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _refusing("compares")
    __and__ = __or__ = __xor__ = __invert__ = __lshift__ = __rshift__ = _refusing("shifts")
    __add__ = __radd__ = __sub__ = __rsub__ = __neg__ = __abs__ = _refusing("adds")
    __mul__ = __rmul__ = __matmul__ = __rmatmul__ = __pow__ = __rpow__ = _refusing("multiplies")
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = _refusing("divides")
    __truediv__ = __rtruediv__ = _refusing("divides")


@dataclass(frozen=True)
class Index(Symbol):
    """An integer computed from the id, and the range that it lies in."""

    _noun = "ids"

    low: int
    high: int
    operation: str = "id"
    operands: tuple[Index, ...] = ()
    constant: int = 0
    codes: Table | None = None  # of a load, whose constant is the column

    def _then(self, operation: str, constant: int, low: int, high: int) -> Index:
        return _within_range(Index(low, high, operation, (self,), constant))

    def __mod__(self, divisor: Any) -> Index:
        divisor = _integer(divisor, positive=True)
        if self.low >= 0 and self.high < divisor:
            return self
        return self._then("mod", divisor, 0, divisor - 1)

    def __floordiv__(self, divisor: Any) -> Index:
        divisor = _integer(divisor, positive=True)
        if divisor == 1:
            return self
        return self._then("div", divisor, self.low // divisor, self.high // divisor)

    def __mul__(self, factor: Any) -> Index:
        factor = _integer(factor)
        ends = (self.low * factor, self.high * factor)
        return self._then("multiply", factor, min(ends), max(ends))

    __rmul__ = __mul__

    def __neg__(self) -> Index:
        return self * -1

    def __add__(self, other: Any) -> Index:
        if isinstance(other, Index):
            low, high = self.low + other.low, self.high + other.high
            return _within_range(Index(low, high, "add", (self, other)))
        other = _integer(other)
        if other == 0:
            return self
        return self._then("add_constant", other, self.low + other, self.high + other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Index:
        if isinstance(other, Index):
            low, high = self.low - other.high, self.high - other.low
            return _within_range(Index(low, high, "subtract", (self, other)))
        return self + -other

    def __rsub__(self, other: Any) -> Index:
        return -self + other

    def minimum(self, limit: Any) -> Index:
        """The smaller of the integer and a constant."""
        limit = _integer(limit)
        if self.high <= limit:
            return self
        return self._then("minimum", limit, min(self.low, limit), limit)

    def maximum(self, limit: Any) -> Index:
        """The larger of the integer and a constant."""
        limit = _integer(limit)
        return self if self.low >= limit else -(-self).minimum(-limit)

    def __lt__(self, limit: Any) -> IsNegative:
        return IsNegative(self - _integer(limit))


@dataclass(frozen=True)
class IsNegative(Symbol):
    """Whether an integer is below 0."""

    _noun = "conditions"

    index: Index

    def __getitem__(self, key: Any) -> IsNegative:
        if key != (..., None):
            raise UnsupportedOpError("it indexes conditions")
        return self


@dataclass(frozen=True)
class Integers(Symbol):
    """Several integers of an id, such as its codes: an axis beside those of the ids."""

    _noun = "codes"

    columns: tuple[Index, ...]

    def __getitem__(self, key: Any) -> Index:
        if not isinstance(key, tuple) or len(key) != 2 or key[0] is not ...:
            raise UnsupportedOpError("it takes another axis of codes than the last")
        return self.columns[_integer(key[1])]

    def __add__(self, other: Any) -> Integers:
        others = np.broadcast_to(other, len(self.columns)) if np.ndim(other) < 2 else None
        if others is None or others.dtype.kind not in "iu":
            raise UnsupportedOpError("it adds something else than integers to codes")
        return Integers(tuple(x + y for x, y in zip(self.columns, others, strict=True)))

    __radd__ = __add__


@dataclass(frozen=True)
class Gather:
    """Rows of a table at an index, or single values of it, counted row by row."""

    table: Table
    index: Index
    of_values: bool = False

    @property
    def width(self) -> int:
        """Values that are read."""
        return 1 if self.of_values else self.table.width


@dataclass(frozen=True)
class Term:
    """A constant times the elementwise product of gathered rows."""

    constant: float
    factors: tuple[Gather, ...]


@dataclass(frozen=True)
class Segment:
    """Columns of a vector: a sum of terms, whose rows are as wide or a single, broadcast value."""

    width: int
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Vectors(Symbol):
    """Vectors of ids in normal form: a concatenation of sums of products of gathered rows."""

    _noun = "vectors"

    segments: tuple[Segment, ...]

    def __getitem__(self, key: Any) -> SeveralVectors:
        """A vector of one value for each column of a gathered row."""
        terms = [term for segment in self.segments for term in segment.terms]
        if key != (..., None) or len(terms) > 1 or terms[0].constant != 1.0:
            raise UnsupportedOpError("it indexes vectors")
        (gather, *others) = terms[0].factors
        if others or gather.of_values:
            raise UnsupportedOpError("it indexes vectors")
        width = gather.table.width
        if width == 1:
            return SeveralVectors((self,))
        gathers = [
            Gather(gather.table, gather.index * width + column, of_values=True)
            for column in range(width)
        ]
        return SeveralVectors(
            tuple(Vectors((Segment(1, (Term(1.0, (one,)),)),)) for one in gathers)
        )

    def __mul__(self, other: Any) -> Vectors:
        if isinstance(other, Real):
            return self._each(
                lambda term: [Term(float(term.constant * other), term.factors)], self.segments
            )
        return self._with(other, _product)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Vectors:
        return self._with(other, lambda one, two: (*one, *two))

    def __sub__(self, other: Any) -> Vectors:
        return self + -1.0 * other

    def _each(self, change: Any, segments: tuple[Segment, ...]) -> Vectors:
        return Vectors(
            tuple(
                Segment(segment.width, tuple(t for term in segment.terms for t in change(term)))
                for segment in segments
            )
        )

    def _with(self, other: Any, combine: Any) -> Vectors:
        if not isinstance(other, Vectors):
            raise UnsupportedOpError(f"it combines vectors with {type(other).__name__}")
        left, right = self.segments, other.segments
        if [s.width for s in right] == [1]:
            right = right * len(left)
        elif [s.width for s in left] == [1]:
            left = left * len(right)
        if len(left) != len(right):
            raise UnsupportedOpError("it combines vectors that are cut at other columns")
        segments = []
        for one, two in zip(left, right, strict=True):
            width = max(one.width, two.width)
            if {one.width, two.width} - {1, width}:
                raise UnsupportedOpError("it combines vectors of different widths")
            segments.append(Segment(width, combine(one.terms, two.terms)))
        return Vectors(tuple(segments))


@dataclass(frozen=True)
class SeveralVectors(Symbol):
    """A vector for each of several integers, as gathered by codes: to be summed."""

    _noun = "rows of several codes"

    vectors: tuple[Vectors, ...]

    def __mul__(self, other: Any) -> SeveralVectors:
        if not isinstance(other, SeveralVectors) or len(other.vectors) != len(self.vectors):
            raise UnsupportedOpError("it multiplies rows of several codes by something else")
        pairs = zip(self.vectors, other.vectors, strict=True)
        return SeveralVectors(tuple(one * two for one, two in pairs))


@dataclass(frozen=True)
class Projected(Symbol):
    """Vectors times a small matrix. Pooling commutes with it, and is done before."""

    _noun = "projected vectors"

    vectors: Vectors
    projection: Table


def concat(parts: Sequence[Any]) -> Vectors:
    """Vectors side by side."""
    if not all(isinstance(part, Vectors) for part in parts):
        raise UnsupportedOpError("it concatenates something else than vectors")
    return Vectors(tuple(segment for part in parts for segment in part.segments))


def total(x: Any) -> Vectors:
    """The sum over the axis before the last."""
    if not isinstance(x, SeveralVectors):
        raise UnsupportedOpError("it sums over an axis of its own")
    return sum(x.vectors[1:], start=x.vectors[0])


def where(condition: Any, x: Any, y: Any) -> Any:
    """Integers chosen by a condition."""
    if isinstance(condition, IsNegative):
        if isinstance(x, Integers) and isinstance(y, Integers) and len(x.columns) == len(y.columns):
            pairs = zip(x.columns, y.columns, strict=True)
            return Integers(tuple(where(condition, one, two) for one, two in pairs))
        if isinstance(x, Index) and isinstance(y, Index):
            low, high = min(x.low, y.low), max(x.high, y.high)
            return Index(low, high, "if_negative", (condition.index, x, y))
    raise UnsupportedOpError("it uses where of something else than codes")


def maximum(x: Any, limit: Any) -> Index:
    """The larger of an integer and a constant."""
    if not isinstance(x, Index):
        raise UnsupportedOpError("it uses maximum of vectors")
    return x.maximum(limit)


def minimum(x: Any, limit: Any) -> Index:
    """The smaller of an integer and a constant."""
    if not isinstance(x, Index):
        raise UnsupportedOpError("it takes the minimum of vectors")
    return x.minimum(limit)


def _product(one: tuple[Term, ...], two: tuple[Term, ...]) -> tuple[Term, ...]:
    return tuple(Term(a.constant * b.constant, (*a.factors, *b.factors)) for a in one for b in two)


def _within_range(index: Index) -> Index:
    if max(-index.low, index.high) > _LARGEST_INTEGER:
        raise UnsupportedOpError("its index arithmetic leaves the range of exact integers")
    return index


def _integer(value: Any, positive: bool = False) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise UnsupportedOpError(f"its index arithmetic uses {type(value).__name__}")
    if positive and value < 1:
        raise UnsupportedOpError("its index arithmetic divides by less than 1")
    if not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
        raise UnsupportedOpError("its index arithmetic leaves the range of exact integers")
    return int(value)
