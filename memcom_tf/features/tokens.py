"""Texts as words and as n-grams: two rules, the same in any program that reads a file."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import islice

WORDS = "words"
"""The name of the rule in files; `converters/VOCABULARY_FORMAT.md` specifies it."""
NGRAMS = "ngrams"
"""That of the rule by which texts are hashed character n-grams."""
SIZES = range(3, 6)
"""Characters of an n-gram."""

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul
    (0x20000, 0x3FFFF),  # Han, further extensions
)
"""First and last letters of the scripts of which every letter is a word, and every two."""

_OF_WORDS = "LMN"
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619
_ASCII = re.compile("[a-z0-9]+")


def words_of(text: str) -> list[str]:
    """Cuts a text into words.

    1. The text is normalised (Unicode NFKC), and its letters are made lower case.
    2. A word is a longest run of letters, marks and numbers (general categories L, M and N).
    3. Of scripts that are written without blanks, those of `UNSPACED`, each letter is a word, and
       so is each pair of neighbours, in the order in which they begin, the single letter first.

    Args:
        text: Any text.

    Returns:
        The words in their order.

    Example:
        >>> words_of("Don't use 2.0!"), words_of("Straße 東京都")
        (['don', 't', 'use', '2', '0'], ['straße', '東', '東京', '京', '京都', '都'])
    """
    if text.isascii():  # the same rule, of which nothing but runs is left
        return _ASCII.findall(text.lower())
    found: list[str] = []
    for spaced, unspaced in _pattern().findall(unicodedata.normalize("NFKC", text).lower()):
        if spaced:
            found.append(spaced)
            continue
        for place, letter in enumerate(unspaced[:-1]):
            found += (letter, unspaced[place : place + 2])
        found.append(unspaced[-1])
    return found


def ngrams_of(text: str, most: int | None = None) -> list[str]:
    """Cuts a text into character n-grams.

    Each word of `words_of` is put between the marks "<" and ">". Its n-grams are all runs of 3, 4
    and 5 characters of that, by where they begin, the shorter one first; and at the end the whole
    of it, where it is longer than 5. The marks are part of no word, so that beginnings and ends
    differ from what is inside.

    Source: Bojanowski et al., Enriching word vectors with subword information, TACL 2017.

    Args:
        text: Any text.
        most: N-grams that are returned at most, the first ones; None returns all.

    Returns:
        The n-grams in their order.

    Example:
        >>> ngrams_of("Teas 東")
        ['<te', '<tea', '<teas', 'tea', 'teas', 'teas>', 'eas', 'eas>', 'as>', '<teas>', '<東>']
    """
    return list(islice(_ngrams(text), most))


def _ngrams(text: str) -> Iterator[str]:
    for word in words_of(text):
        marked = f"<{word}>"
        for start in range(len(marked) - SIZES[0] + 1):
            for size in SIZES:
                if start + size <= len(marked):
                    yield marked[start : start + size]
        if len(marked) > SIZES[-1]:
            yield marked


def fnv1a(text: str) -> int:
    """The 32 bit FNV-1a hash of the UTF-8 bytes of a text.

    From 2166136261, each byte is xor-ed in, and the result is multiplied by 16777619 modulo 2^32.

    Source: Fowler, Noll, Vo and Eastlake, The FNV non-cryptographic hash algorithm, IETF draft.

    Args:
        text: A text of Unicode characters.

    Returns:
        The hash, in [0, 2^32).

    Example:
        >>> hex(fnv1a("a")), fnv1a("")
        ('0xe40c292c', 2166136261)
    """
    found = _FNV_OFFSET
    for byte in text.encode():
        found = (found ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return found


@cache
def _pattern() -> re.Pattern[str]:
    """What finds runs of letters: in the first group with blanks around, in the second without."""
    spaced: list[int] = []
    unspaced: list[int] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] in _OF_WORDS:
            apart = any(first <= code <= last for first, last in UNSPACED)
            (unspaced if apart else spaced).append(code)
    return re.compile(f"([{_ranges(spaced)}]+)|([{_ranges(unspaced)}]+)")


def _ranges(codes: list[int]) -> str:
    """Rising numbers of letters as the ranges of a set of a regular expression."""
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)
