"""What the classes of a description have in common: fields that are checked as they are read."""

from __future__ import annotations

from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from typing import Any

from memcom_tf.errors import invalid

from .values import Value


def checked_as(value: Value, *, in_every_file: bool = False, **default: Any) -> Any:
    """A field of a description, whose values are such; required where it has no default."""
    return field(metadata={"value": value, "in_every_file": in_every_file}, **default)


class Described:
    """What the classes of a description have in common: JSON objects, of which others are left."""

    @classmethod
    def checked(cls, values: Any, path: Path, whole: str) -> dict[str, Any]:
        """The fields of a JSON object, each as it must be.

        Args:
            values: The object, or what stands in its place.
            path: The file that it is in.
            whole: The name of the object.

        Raises:
            ValueError: If it is no object, or a field is missing or another than it must be.
        """
        if not isinstance(values, dict):
            raise damaged(whole, values, path)
        found = {}
        for name, of in fields_of(cls).items():
            if name not in values and _is_optional(of):
                continue
            if name not in values or not of.metadata["value"].fits(values[name]):
                raise damaged(name, values.get(name), path)
            found[name] = values[name]
        return found

    def to_json(self) -> dict[str, Any]:
        """The JSON object; what is not known is left out."""
        found = {}
        for name, of in fields_of(type(self)).items():
            value = getattr(self, name)
            if value is not None or of.default is MISSING:
                found[name] = list(value) if isinstance(value, tuple) else value
        return found

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """The JSON Schema of the object."""
        known = fields_of(cls)
        return {
            "type": "object",
            "properties": {name: of.metadata["value"].schema() for name, of in known.items()},
            "required": [name for name, of in known.items() if not _is_optional(of)],
        }


def fields_of(cls: type) -> dict[str, Field[Any]]:
    """The fields that are values of the JSON object."""
    return {of.name: of for of in fields(cls) if "value" in of.metadata}


def _is_optional(of: Field[Any]) -> bool:
    return of.default is not MISSING and not of.metadata["in_every_file"]


def damaged(name: str, value: object, path: Path) -> ValueError:
    """The error of a description of which a field is wrong."""
    return invalid(
        f"The file must be undamaged: its description's `{name}` is not what it must be.",
        "Convert the model again, or copy the file again.",
        **{name: short(value)},
        path=str(path),
    )


def short(value: object) -> object:
    """A value as it may stand in a message."""
    return value if isinstance(value, (int, float, type(None))) else repr(value)[:80]
