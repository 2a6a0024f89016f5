"""From a trained Keras model to a proven `.tflite` file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import Comparison, compare
    from .conversion import Conversion, convert
    from .html_report import write_html
    from .measurement import measure
    from .proof import Verification, verify
    from .quantization_error import QuantizationWarning
    from .runtime import CompressedModelFile

# Imported when used: reading a file needs no TensorFlow.
_HOMES = {
    "Comparison": "comparison",
    "compare": "comparison",
    "Conversion": "conversion",
    "convert": "conversion",
    "CompressedModelFile": "runtime",
    "QuantizationWarning": "quantization_error",
    "Verification": "proof",
    "measure": "measurement",
    "verify": "proof",
    "write_html": "html_report",
}

__all__ = [
    "Comparison",
    "CompressedModelFile",
    "Conversion",
    "QuantizationWarning",
    "Verification",
    "compare",
    "convert",
    "measure",
    "verify",
    "write_html",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
