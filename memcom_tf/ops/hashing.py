"""Hash functions of integer ids that a phone's runtime can compute with int32 alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isqrt

import numpy as np

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import Array

_GOLDEN = 0.6180339887498949


@cache
def _next_prime(n: int) -> int:
    while any(n % divisor == 0 for divisor in range(2, int(n**0.5) + 1)):
        n += 1
    return n


def _times(a: int, x: Array, p: int) -> Array:
    """`a x mod p` for `a <= sqrt(p)` and `0 <= x < p`, never leaving `(-p, p)` on the way."""
    q, r = p // a, p % a
    return (a * (x % q) - r * (x // q)) % p


def _numbers(input_dim: int, num_buckets: int, index: int) -> tuple[int, int, int, int, int]:
    """Of a function: `p`, the base of the digits of `a`, the two digits, and `b`."""
    p = _next_prime(max(input_dim, num_buckets, 11))
    base = isqrt(p)
    # Multiples of the golden ratio spread over (0, 1) as evenly as numbers can.
    a = 1 + int((base * base - 1) * ((index + 1) * _GOLDEN % 1.0))
    b = int(p * ((index + 3) * _GOLDEN % 1.0))
    return p, base, *divmod(a, base), b


def _check(input_dim: int) -> None:
    if input_dim > 2**29:
        raise invalid(
            "A hashed vocabulary must have at most 2^29 ids.",
            "Use a method that divides ids, such as QuotientRemainderEmbedding.",
            input_dim=input_dim,
        )


@dataclass(frozen=True)
class UniversalHash:
    """A member of Carter and Wegman's family: `h(i) = ((a i + b) mod p) mod m`.

    `p` is the smallest prime that is not below `max(input_dim, num_buckets)`. The product is
    taken by Schrage's method, `a i mod p = a (i mod q) - r (i div q)` with `q = p div a` and
    `r = p mod a`, on the two digits of `a` in base `floor(sqrt(p))`. It never leaves int32: the
    same lines are exact in TensorFlow, in NumPy and on runtimes without 64-bit arithmetic.

    Sources: L. Carter, M. Wegman: Universal classes of hash functions, 1979. L. Schrage: A more
    portable Fortran random number generator, 1979.

    Attributes:
        input_dim: Number of ids, at most 2^29.
        num_buckets: Number of values, `m`.
        index: Which function of the family; different indices are independent functions.

    Example:
        >>> import numpy as np
        >>> UniversalHash(input_dim=100, num_buckets=10, index=0)(np.arange(5))
        array([6, 7, 8, 0, 1])
    """

    input_dim: int
    num_buckets: int
    index: int

    def __post_init__(self) -> None:
        _check(self.input_dim)

    @property
    def coefficients(self) -> tuple[int, int, int]:
        """`a`, `b` and `p`, for those who have 64-bit arithmetic."""
        p, base, high, low, b = _numbers(self.input_dim, self.num_buckets, self.index)
        return high * base + low, b, p

    def of_int64(self, ids: Array) -> Array:
        """The same of ids of 64 bits, several times faster."""
        a, b, p = self.coefficients
        return ((a * ids + b) % p) % self.num_buckets

    def __call__(self, ids: Array) -> Array:
        """Buckets in `[0, num_buckets)` of integer ids, of the ids' shape and dtype."""
        p, base, high, low, b = _numbers(self.input_dim, self.num_buckets, self.index)
        product = _times(low, ids, p) if low else 0
        if high:
            product = product + _times(high, _times(base, ids, p), p)
        return ((product + b) % p) % self.num_buckets


@dataclass(frozen=True)
class UniversalHashes:
    """Several functions of `UniversalHash` at once.

    Attributes:
        input_dim: Number of ids, at most 2^29.
        num_buckets: Number of values.
        count: How many functions: those of the indices from 0 on.

    Example:
        >>> import numpy as np
        >>> UniversalHashes(input_dim=100, num_buckets=10, count=2)(np.arange(3)).tolist()
        [[6, 7], [7, 1], [8, 5]]
    """

    input_dim: int
    num_buckets: int
    count: int

    def __post_init__(self) -> None:
        _check(self.input_dim)

    def __call__(self, ids: Array) -> Array:
        """Buckets `ids.shape + [count]` of integer ids."""
        found = [_numbers(self.input_dim, self.num_buckets, k) for k in range(self.count)]
        (p, *_), (base, *_), high, low, b = zip(*found, strict=True)
        x = ids[..., None]
        product = _times_each(low, x, p) + _times_each(high, _times(base, x, p), p)
        return ((product + list(b)) % p) % self.num_buckets


def _times_each(factors: Sequence[int], x: Array, p: int) -> Array:
    """`_times` by several factors, of which some may be 0; lists take the dtype of `x`."""
    some = [max(1, a) for a in factors]
    quotients, remainders = [p // a for a in some], [p % a for a in some]
    return (
        (x % quotients) * list(factors)
        - (x // quotients) * ([r * (a > 0) for r, a in zip(remainders, factors, strict=True)])
    ) % p


def hash_numbers(input_dim: int, num_buckets: int, indices: Sequence[int]) -> Array:
    """What `hashed_by` computes functions of `UniversalHash` from, so that a table may choose them.

    Args:
        input_dim: Number of ids, at most 2^29.
        num_buckets: Number of values.
        indices: Which functions of the family.

    Returns:
        `[len(indices), 7]` int32.
    """
    _check(input_dim)
    rows = []
    for index in indices:
        p, _, high, low, b = _numbers(input_dim, num_buckets, index)
        row = [b]
        for digit in (low, high):
            row += [digit, p // max(1, digit), (p % max(1, digit)) * (digit > 0)]
        rows.append(row)
    return np.array(rows, np.int32)


def hashed_by(numbers: Array, ids: Array, input_dim: int, num_buckets: int) -> Array:
    """Buckets `ids.shape + [functions]` of int32 ids, by functions that are numbers of a table.

    Example:
        >>> numbers = hash_numbers(100, 10, [0, 1])
        >>> hashed_by(numbers, np.arange(3, dtype=np.int32), 100, 10).tolist()
        [[6, 7], [7, 1], [8, 5]]
    """
    p, base, *_ = _numbers(input_dim, num_buckets, 0)
    x = ids[..., None]
    product = 0
    for first, y in ((1, x), (4, _times(base, x, p))):
        digit, quotient, remainder = (numbers[:, first + place] for place in range(3))
        product = product + ((y % quotient) * digit - (y // quotient) * remainder) % p
    return ((product + numbers[:, 0]) % p) % num_buckets
