"""A page that stands alone: it asks nothing of any network, and runs no text of a file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from memcom_tf.errors import message
from memcom_tf.text import LONGEST_MESSAGE, printable

_ASSETS = Path(__file__).with_name("assets")
_SCRIPTS = ("elements.js", "charts.js", "files.js", "tables.js", "lists.js", "page.js")
_VEGA_LITE = "6.4"
_LONGEST_TEXT = 400


def page(title: str, summary: str, data: Any) -> str:
    """A page with its data, its look and its scripts.

    The browser runs the two scripts of this hash and no other, and loads nothing.

    Args:
        title: What is shown; it may be a stranger's.
        summary: The first sentences.
        data: What the scripts show, as JSON has it.

    Returns:
        The HTML.

    Raises:
        ImportError: If the library of charts is not installed.
    """
    library, script, style = _library(), _script(), _asset("page.css")
    policy = {
        "default-src": "'none'",
        "script-src": f"{_hash(library)} {_hash(script)}",
        "style-src": _hash(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Template(_asset("page.html")).substitute(
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        title=html.escape(printable(title)),
        summary=html.escape(printable(summary, LONGEST_MESSAGE)),
        data=_embedded(data),
        licences=html.escape(_asset("licences.txt")),
        style=style,
        library=library,
        script=script,
    )


def shown(value: Any) -> Any:
    """A value of JSON, of which texts are printable and not too long, and numbers are numbers."""
    if isinstance(value, dict):
        return {printable(name): shown(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [shown(of) for of in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return printable(value, _LONGEST_TEXT) if isinstance(value, str) else value


def _embedded(data: Any) -> str:
    """JSON that may stand in an element of a script: nothing in it ends that."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


@cache
def _script() -> str:
    """Our scripts as one, of which no name is seen by the library."""
    return "'use strict';\n{\n" + "\n".join(map(_asset, _SCRIPTS)) + "}\n"


def require_charts() -> Any:
    """The library that brings the charts.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise ImportError(
            message(
                "vl-convert-python must be installed for a page with charts.",
                'Run: pip install "memcom_tf[report]".',
                missing=error.name,
            )
        ) from error
    return vl_convert


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, with the interpreter of expressions."""
    bundle = require_charts().javascript_bundle("window.vegaEmbed = vegaEmbed;", _VEGA_LITE)
    # What would end the element stands in texts only, in which a backslash changes nothing.
    return "{" + bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--") + "}"
