"""Runs that are kept, a line of JSON each, so that what was broken off goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Runs:
    """The runs in a file, and those of them that belong to the same data and settings.

    Args:
        path: A file of JSON lines; it and its folder need not be there.
        same: What the rows of these runs have in common, by column.
    """

    def __init__(self, path: Path, same: Row) -> None:
        self.path, self.same = path, same
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        found = (json.loads(line) for line in lines)
        self.rows: list[Row] = [row for row in found if same.items() <= row.items()]

    def has(self, key: Row) -> bool:
        """Whether there is a run of that key."""
        return any(key.items() <= row.items() for row in self.rows)

    def keep(self, row: Row) -> Row:
        """Writes a run down, and returns it with what all have in common."""
        row = {**self.same, **row}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        return row
