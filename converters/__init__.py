"""From a trained Keras model to a proven `.tflite` file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversion import Conversion, convert
    from .inspection.comparison import Comparison, compare
    from .inspection.html_report import write_html
    from .inspection.measurement import measure
    from .model_file.origin import origin_of
    from .proof import Verification, verify
    from .quantization.quantization_error import QuantizationWarning
    from .runtime import CompressedModelFile

# Imported when used: reading a file needs no TensorFlow.
_HOMES = {
    "Comparison": "inspection.comparison",
    "compare": "inspection.comparison",
    "Conversion": "conversion",
    "convert": "conversion",
    "CompressedModelFile": "runtime",
    "QuantizationWarning": "quantization.quantization_error",
    "Verification": "proof",
    "measure": "inspection.measurement",
    "origin_of": "model_file.origin",
    "verify": "proof",
    "write_html": "inspection.html_report",
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
    "origin_of",
    "verify",
    "write_html",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
