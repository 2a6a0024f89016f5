"""Options in any order: an option of several values does not swallow the file behind them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class AnyOrderParser(argparse.ArgumentParser):
    """A parser that reads `--categorical a b rows.csv` as two columns and a file.

    `argparse` gives all words behind an option of several values to it, and then misses the file.
    Where words are missing, the last of such an option are taken for them: those that are files
    first.

    Example:
        >>> parser = AnyOrderParser(prog="train")
        >>> for name, nargs in {"--columns": "+", "rows": None}.items():
        ...     _ = parser.add_argument(name, nargs=nargs)
        >>> parser.parse_args(["--columns", "a", "b", "rows.csv"])
        Namespace(columns=['a', 'b'], rows='rows.csv')
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses words, as `argparse.ArgumentParser` does."""
        return super().parse_known_args(None if args is None else self._moved(args), namespace)

    def _moved(self, words: Sequence[str]) -> list[str]:
        """The words, with those that belong to no option in front."""
        runs, plain = self._runs(words)
        wanted = sum(action.nargs is None for action in self._get_positional_actions())
        moved: list[int] = []
        for _ in range(wanted - plain):
            # An option keeps one value at least.
            last = [run[-1] for run in runs if len(run) > 1]
            if not last:
                break
            moved.append(max(last, key=lambda place: (Path(words[place]).exists(), place)))
            for run in runs:
                if run[-1] == moved[-1]:
                    run.pop()
        moved.sort()
        return [words[place] for place in moved] + [
            word for place, word in enumerate(words) if place not in moved
        ]

    def _runs(self, words: Sequence[str]) -> tuple[list[list[int]], int]:
        """Places of the values of each option of several, and how many words are of no option."""
        runs: list[list[int]] = []
        plain = 0
        nargs: Any = 0
        for place, word in enumerate(words):
            if word == "--":
                return runs, plain + len(words) - place - 1
            if word.startswith("-") and len(word) > 1 and not self._is_number(word):
                nargs = self._values_of(word)
                if nargs == "+":
                    runs.append([])
            elif nargs == "+":
                runs[-1].append(place)
            elif nargs == 1:
                nargs = 0
            else:
                plain += 1
        return [run for run in runs if run], plain

    def _values_of(self, word: str) -> Any:
        """How many values follow an option: 0, 1, or "+" for several."""
        name, given, _ = word.partition("=")
        options = self._option_string_actions
        if name not in options:
            found = [option for option in options if option.startswith(name)]
            if len(found) != 1 or not name.startswith("--"):
                # `-k5` holds its value, and what is unknown is refused later.
                return 0
            name = found[0]
        nargs = options[name].nargs
        if given:
            return 0
        return 1 if nargs is None else nargs

    def _is_number(self, word: str) -> bool:
        return bool(self._negative_number_matcher.match(word))
