"""`memcom rank`: a list of a ranker's file, by titles."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memcom_tf.cli.commands import DONE, require_file
from memcom_tf.errors import invalid, message
from memcom_tf.text import printable

if TYPE_CHECKING:
    from memcom_tf.converters.runtime import CompressedModelFile

_LONGEST_TITLE = 200


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("file", type=Path, metavar="MODEL.tflite")
    parser.add_argument(
        "--history",
        nargs="+",
        default=[],
        metavar="TITLE",
        help="titles or items that were had before, in order of time",
    )
    parser.add_argument(
        "--fields",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="values of the fields that the file takes; one that is left out is missing",
    )
    parser.add_argument(
        "-k", type=int, default=None, help="length of the list (that of the file, its longest)"
    )
    for name, does in (
        ("exclude", "leave these titles or items out"),
        ("candidates", "rank these titles or items only"),
    ):
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="TITLE", help=does)
        parser.add_argument(
            f"--{name}-file", type=Path, metavar="FILE", help="the same, one on each line"
        )


def rank(options: argparse.Namespace) -> int:
    """Ranks the catalogue, or a part of it, with a .tflite file alone."""
    require_file(options.file)
    from memcom_tf.converters.runtime import CompressedModelFile

    file = CompressedModelFile(options.file)
    takes_history = file.ranker.history_length > 0
    known = _Items(file)
    if bool(options.history) != takes_history:
        must = "must be given" if takes_history else "must be left out: the file takes none"
        raise ValueError(message(f"`history` {must}.", "", history=options.history))
    history = [known.id_of(text) for text in options.history]
    candidates = _ids(known, options.candidates, options.candidates_file)
    ids, scores = file.rank(
        history if takes_history else None,
        k=options.k,
        exclude=_ids(known, options.exclude, options.exclude_file),
        candidates=candidates or None,
        row=_row(options.fields, file),
    )
    # A part of a title is enough to name a film: say which one was understood.
    if history:
        print(f"After: {'; '.join(known.names(history))}", file=sys.stderr)
    if not len(ids):
        print("No item is left to rank.", file=sys.stderr)
    names = known.names(ids)
    if options.json:
        print(json.dumps(_ranked(known.items(ids), names, scores), ensure_ascii=False, indent=1))
        return DONE
    width = max(map(len, names), default=0)
    for position, (name, score) in enumerate(zip(names, scores, strict=True), start=1):
        print(f"{position:3d}  {name:{width}s}  {score:8.3f}")
    return DONE


class _Items:
    """Items and titles, looked up in the file: of a million all would take seconds to read."""

    def __init__(self, file: CompressedModelFile) -> None:
        self._file, self._dictionary = file, file.dictionary

    def id_of(self, text: str) -> int:
        """The id of an item, or of the one that a part of a title names."""
        # "007" is no way to write 7: the items of a shop may differ in their leading zeros.
        numeric = re.fullmatch("0|-?[1-9][0-9]*", text) and self._dictionary.id(text) is None
        item = int(text) if numeric else text
        found = self._dictionary.id(item)
        if found is not None:
            return found
        vocabulary = self._file.vocabulary  # whole, for a search or the error
        if "title" in vocabulary.details:
            return int(vocabulary.find(text))
        return int(vocabulary.ids(item))

    def items(self, ids: Any) -> list[Any]:
        """The items of ids."""
        return [self._dictionary.item(int(id_)) for id_ in ids]

    def names(self, ids: Any) -> list[str]:
        """Titles, or where there are none the items."""
        items = [printable(item, _LONGEST_TITLE) for item in self.items(ids)]
        if "title" not in self._dictionary.details:
            return items
        titles = [self._dictionary.detail("title", int(id_)) for id_ in ids]
        return [
            printable(title, _LONGEST_TITLE) or item
            for title, item in zip(titles, items, strict=True)
        ]


def _ranked(items: Any, names: list[str], scores: Any) -> list[dict[str, Any]]:
    return [
        {"item": item, "title": name, "score": float(score)}
        for item, name, score in zip(items, names, scores, strict=True)
    ]


def _ids(known: _Items, titles: list[str], path: Path | None) -> list[int]:
    """Ids of titles given one by one, and of those in a file."""
    lines = []
    if path is not None:
        require_file(path)
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise invalid(
                "The file must be a text in UTF-8.", "One title or item on each line.", path=path
            ) from error
    return [known.id_of(text) for text in [*titles, *filter(str.strip, lines)]]


def _row(fields: list[str], file: Any) -> dict[str, Any] | None:
    """Values by name; None of a file that takes no fields."""
    if not fields and not file.description.fields:
        return None
    numeric = {of.name for of in file.fields.numeric}
    found: dict[str, Any] = {}
    for text in fields:
        name, equals, value = text.partition("=")
        if not equals or name in found:
            raise invalid(
                "Each of `fields` must be NAME=VALUE, with a name of its own.",
                "As in --fields country=NO age=31.",
                field=text,
            )
        found[name] = _number(name, value) if name in numeric else value
    return found


def _number(name: str, text: str) -> float | None:
    """A number as it is written; nothing is a missing one."""
    try:
        return float(text) if text.strip() else None
    except ValueError as error:
        raise invalid(f"The field {name!r} must be a number.", value=text[:60]) from error
