"""The model that a command was given, loaded without running what it carries."""

from __future__ import annotations

import argparse
import importlib
import re
from typing import Any

from memcom_tf.cli import early_checks
from memcom_tf.cli.legacy_config import require_safe_config
from memcom_tf.errors import message
from memcom_tf.text import printable

_LONGEST_REASON = 500


def load_model(options: argparse.Namespace) -> Any:
    """Loads the .keras model that a command was given; the folder of a SavedModel stays one."""
    if (options.model / "saved_model.pb").is_file():
        return options.model
    if not options.model.is_file():
        raise FileNotFoundError(
            message(
                "The model must be a .keras file, or the folder of a SavedModel.",
                "",
                path=str(options.model),
            )
        )
    early_checks.require_known(
        options.model, options.modules, lambdas=options.allow_unsafe_deserialization
    )
    from memcom_tf import layers, models  # noqa: F401  registers them with Keras
    from memcom_tf._keras import is_keras_3, keras

    for module in options.modules:
        importlib.import_module(module)
    if not is_keras_3 and not options.allow_unsafe_deserialization:
        get = keras.saving.get_registered_object
        require_safe_config(options.model, lambda name: get(name) is not None)
    try:
        return keras.models.load_model(
            options.model, compile=False, safe_mode=not options.allow_unsafe_deserialization
        )
    # Keras lets through whatever the zip, HDF5 and JSON readers and the layers raise.
    except Exception as error:
        # What names the layer stands behind what names the model, and before its whole config.
        inner = str(error).rpartition("Exception encountered: ")[2].strip() or repr(error)
        # Its first sentence: what follows is advice for who calls Keras.
        reason = re.split(r"(?<=\w\w[\w'`)\]])[.!] ", inner.splitlines()[0])[0]
        reason = printable(reason.rstrip("."), _LONGEST_REASON)
        raise ValueError(
            message(
                f"The model must be loadable by Keras {keras.__version__}, which says: {reason}.",
                "Layers of your own are loaded with --import MODULE, Lambda layers with "
                "--allow-unsafe-deserialization; a model that tf_keras saved needs "
                "TF_USE_LEGACY_KERAS=1.",
                path=str(options.model),
            )
        ) from error
