"""Saving a model so that a file already there survives, and loading what was saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memcom_tf._keras import keras
from memcom_tf.errors import invalid, message
from memcom_tf.files import replacing


def save_model(model: Any, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Saves a Keras model as `model.save` does, in one step.

    Keras writes over the file that is there: a process that is killed, or a disk that is full,
    leaves neither the old model nor the new one. Here the model is written beside the file, and
    moved to its place when it is whole. Such a file that a killed process has left is removed by
    the next call.

    Args:
        model: Any Keras model; the optimizer is saved too where it is compiled.
        path: A file that ends in `.keras`, in a folder that exists.
        overwrite: Whether to replace a file that is there.

    Raises:
        ValueError: If `path` does not end in `.keras`.
        FileExistsError: If the file is there, and `overwrite` is False.
        OSError: If the file cannot be written; the error names it, and what was there stays.

    Example:
        >>> import pathlib, tempfile
        >>> import keras
        >>> from memcom_tf import FullEmbedding, save_model
        >>> model = keras.Sequential([keras.Input((3,), dtype="int32"), FullEmbedding(10, 4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "model.keras"
        ...     save_model(model, path)
        ...     keras.models.load_model(path).output_shape
        (None, 3, 4)
    """
    target = Path(path)
    if target.suffix != ".keras":
        raise invalid("The file of a model must end in `.keras`.", path=str(path))
    if target.exists() and not overwrite:
        raise FileExistsError(
            message("The file must not exist.", "Pass `overwrite=True`.", path=str(path))
        )
    with replacing(target) as beside:
        model.save(beside)


def load_model(
    path: str | os.PathLike[str],
    *,
    compile: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
) -> Any:
    """Loads a model that was saved, with the layers, models and optimizers of this package.

    It is `keras.models.load_model` of the Keras in use, which `import memcom_tf` also tells what
    saved models need.

    Args:
        path: A `.keras` file.
        compile: Whether to compile the model as it was saved.
        custom_objects: Further classes and functions by the names that the file has for them.
        safe_mode: Whether to refuse Lambda layers, which run code of the file.

    Returns:
        The model, compiled as it was saved.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If Keras cannot load it.

    Example:
        >>> import pathlib, tempfile
        >>> import keras
        >>> from memcom_tf import FullEmbedding, load_model, save_model
        >>> model = keras.Sequential([keras.Input((3,), dtype="int32"), FullEmbedding(10, 4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "model.keras"
        ...     save_model(model, path)
        ...     load_model(path).output_shape
        (None, 3, 4)
    """
    if not Path(path).exists():
        raise FileNotFoundError(message("The file of a model must exist.", "", path=str(path)))
    return keras.models.load_model(
        path, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode
    )
