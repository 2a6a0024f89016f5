"""Pages taken apart, for the tests: their data, their policy, their elements."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from typing import Any

_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def data_of(page: str) -> Any:
    """What the scripts of a page read."""
    (text,) = _DATA.findall(page)
    return json.loads(text)


def policy_of(page: str) -> dict[str, list[str]]:
    """What a page allows, by kind."""
    (policy,) = _POLICY.findall(page)
    parts = [part.split() for part in html.unescape(policy).split(";")]
    return {name: values for name, *values in parts}


def hashes_of(page: str) -> tuple[list[str], list[str]]:
    """Hashes of the scripts and of the styles of a page, as a policy has them."""

    def hashes(pattern: re.Pattern[str]) -> list[str]:
        digests = (hashlib.sha256(found.encode()).digest() for found in pattern.findall(page))
        return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]

    return hashes(_SCRIPT), hashes(_STYLE)


def markup_of(page: str) -> str:
    """A page without its scripts, its data and its look: what the browser reads as elements."""
    return _STYLE.sub("", _SCRIPT.sub("", _DATA.sub("", page)))


def texts_of(value: Any) -> list[str]:
    """All texts of data."""
    if isinstance(value, dict):
        return [*value, *(text for of in value.values() for text in texts_of(of))]
    if isinstance(value, list):
        return [text for of in value for text in texts_of(of)]
    return [value] if isinstance(value, str) else []
