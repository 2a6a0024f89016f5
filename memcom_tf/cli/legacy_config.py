"""What a .keras file asks tf_keras to import and call, read before it is loaded.

The safe mode of tf_keras refuses Lambda layers alone: a config may name any function of any
module. Keras 3 takes none but its own classes, and needs no such care.
"""

from __future__ import annotations

import builtins
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from memcom_tf.errors import message
from memcom_tf.text import printable

_PACKAGES = {"keras", "tf_keras", "memcom_tf", "keras_rs", "tensorflow_recommenders", "builtins"}
_FUNCTIONS = re.compile(
    r"(compat\.v[12]\.)?"
    r"((math|nn|linalg|strings|signal|sparse|ragged|random|bitwise|sets|image|__operators__)\.)?"
    r"\w+"
)
_REACHES_OUT = re.compile(
    r"file|print|py_?func|numpy_function|load|sav|write|debug|summary|proto|session|remote",
    re.IGNORECASE,
)


def require_safe_config(path: Path, is_registered: Callable[[str], bool]) -> None:
    """Requires a `.keras` file that names nothing but layers, and operators that only compute.

    Args:
        path: The model that tf_keras is to load.
        is_registered: Whether a name is that of a class which Keras knows: its module is not
            imported.

    Raises:
        ValueError: If it is of another format, or names something else.
    """
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise _unsafe("be a .keras file: of another format tf_keras runs the code in it", path)
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, RuntimeError) as error:
        raise _unsafe("have a config that can be read", path) from error
    for entry in entries(config):
        for name in _named(entry, is_registered):
            raise _unsafe(f"name layers and operators alone, and not {printable(name)!r}", path)


def entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every dict in a config, however deep."""
    waiting = [config]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _named(entry: dict[str, Any], is_registered: Callable[[str], bool]) -> Iterator[str]:
    """What an entry names that it may not."""
    module, name = entry.get("module"), entry.get("config")
    known = name if entry.get("class_name") == "function" else entry.get("registered_name")
    is_known = isinstance(known, str) and is_registered(known)
    if not is_known and module is not None and str(module).partition(".")[0] not in _PACKAGES:
        yield str(module)
    if module == "builtins" and isinstance(name, str) and name in vars(builtins):
        yield name
    function = entry.get("function")
    if isinstance(function, str) and (
        not _FUNCTIONS.fullmatch(function) or _REACHES_OUT.search(function)
    ):
        yield function


def _unsafe(must: str, path: Path) -> ValueError:
    return ValueError(
        message(
            f"The model must {must}.",
            "If you trust where it comes from, add --allow-unsafe-deserialization.",
            path=str(path),
        )
    )
