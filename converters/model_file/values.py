"""What a value of a description must be, as a check and as JSON Schema."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

_END = 2**63


class Value(ABC):
    """What a value must be."""

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Whether a parsed value is such."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""


@dataclass(frozen=True)
class Count(Value):
    """An integer from `least` to `most`."""

    least: int = 0
    most: int = _END - 1

    def fits(self, value: Any) -> bool:
        """Whether it is such an integer; True is none, though Python counts it as one."""
        return type(value) is int and self.least <= value <= self.most

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number(Value):
    """A number from `least` on; written as an integer only where it may be `whole`."""

    least: float | None = 0.0
    whole: bool = False

    def fits(self, value: Any) -> bool:
        """Whether it is such a number."""
        is_number = type(value) is float or (self.whole and type(value) is int)
        return is_number and (self.least is None or self.least <= value < _END)

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        least = {} if self.least is None else {"minimum": self.least}
        return {"type": "number", **least}


@dataclass(frozen=True)
class Text(Value):
    """A text, or null where `or_none`; one of the `choices` where there are any."""

    choices: tuple[str, ...] = ()
    or_none: bool = False
    printable: bool = False

    def fits(self, value: Any) -> bool:
        """Whether it is such a text."""
        if value is None:
            return self.or_none
        if not isinstance(value, str) or (self.printable and not value.isprintable()):
            return False
        return not self.choices or value in self.choices

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        chosen = {"enum": list(self.choices)} if self.choices else {}
        return {"type": ["string", "null"] if self.or_none else "string", **chosen}


@dataclass(frozen=True)
class Truth(Value):
    """True or false."""

    def fits(self, value: Any) -> bool:
        """Whether it is one of them."""
        return isinstance(value, bool)

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class ListOf(Value):
    """A list, of such elements where `element` says so, and of that many."""

    element: Value | None = None
    length: int | None = None

    def fits(self, value: Any) -> bool:
        """Whether it is such a list."""
        if not isinstance(value, list) or self.length not in (None, len(value)):
            return False
        return self.element is None or all(map(self.element.fits, value))

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        items = {} if self.element is None else {"items": self.element.schema()}
        size = {} if self.length is None else {"minItems": self.length, "maxItems": self.length}
        return {"type": "array", **items, **size}


@dataclass(frozen=True)
class MapOf(Value):
    """Values by name, or one for all where `or_one`."""

    element: Value
    or_one: bool = False

    def fits(self, value: Any) -> bool:
        """Whether it is such an object."""
        if isinstance(value, dict):
            return all(map(self.element.fits, value.values()))
        return self.or_one and self.element.fits(value)

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        found = {"type": "object", "additionalProperties": self.element.schema()}
        return {"anyOf": [found, self.element.schema()]} if self.or_one else found
