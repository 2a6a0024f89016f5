"""What a .keras file needs to be loaded, read off its config before TensorFlow is."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from memcom_tf.cli.legacy_config import entries
from memcom_tf.errors import message
from memcom_tf.saved_names import HOMES
from memcom_tf.text import LONGEST_NAME, printable

_KNOWN = {"keras", "tf_keras", "builtins", "keras_hub", "keras_cv", "keras_nlp"}
"""Packages whose classes Keras finds by itself."""
_OURS = {name for names in HOMES.values() for name in names}
_LARGEST_CONFIG = 64 * 2**20


def require_known(path: Path, modules: Sequence[str], *, lambdas: bool) -> None:
    """Requires that Keras will know the classes that a `.keras` file names.

    What is no such file, or has no config that can be read, is left to Keras.

    Args:
        path: The model.
        modules: Those that are imported before it is loaded: their classes are not known here.
        lambdas: Whether Lambda layers may be loaded.

    Raises:
        ValueError: Naming the first class that is not.
    """
    for entry in entries(_config(path)):
        module, name = str(entry.get("module")), printable(str(entry.get("class_name")))
        if name == "Lambda" and module.startswith("keras") and not lambdas:
            raise ValueError(
                message(
                    "A model with a Lambda layer must be trusted: the file holds code.",
                    "If you trust where it comes from, add --allow-unsafe-deserialization; or save "
                    "the model with a layer of your own in its place.",
                    layer=_layer_name(entry),
                    path=str(path),
                )
            )
        if not modules and _is_foreign(entry):
            raise ValueError(
                message(
                    f"The class {name!r} of the model must be imported before it is loaded.",
                    "Add --import MODULE, the module that registers it with Keras.",
                    layer=_layer_name(entry),
                    module=printable(module, LONGEST_NAME),
                    path=str(path),
                )
            )


def _config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                return None
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, RuntimeError, OSError):
        return None
    except (NotImplementedError, EOFError):  # of compression that zipfile does not know
        return None


def _is_foreign(entry: dict[str, Any]) -> bool:
    """Whether an entry names a class that neither Keras nor this package registers."""
    module, registered = entry.get("module"), entry.get("registered_name")
    if not isinstance(module, str) or not isinstance(entry.get("class_name"), str):
        return False
    if isinstance(registered, str) and registered.removeprefix("memcom_tf>") in _OURS:
        return False
    if isinstance(registered, str) and registered in _registered():
        return False
    return module.partition(".")[0] not in _KNOWN


def _registered() -> Collection[str]:
    """What Keras knows already, where this process has loaded it."""
    keras = sys.modules.get("keras"), sys.modules.get("tf_keras")
    return {name for found in keras if found for name in found.saving.get_custom_objects()}


def _layer_name(entry: dict[str, Any]) -> str:
    config = entry.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return printable(str(name or entry.get("class_name")), LONGEST_NAME)
