"""What a sweep asks of a task: to make its models, and to say what their files are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Report = Callable[[str], object]


@dataclass(frozen=True)
class Made:
    """A model that was made.

    Attributes:
        model: It.
        split: The data under its ids.
        chosen: The layers and their sizes.
        validation: What it was chosen by, on validation.
        convert: What it is to be converted with.
    """

    model: Any
    split: Any
    chosen: str
    validation: float
    convert: Mapping[str, Any] = field(default_factory=dict)


class Work(Protocol):
    """The models of a task, on data that are split."""

    @property
    def metric(self) -> str:
        """What files are judged by; more is better."""

    @property
    def described(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What tells the data and the settings from others."""

    def full(self, seed: int) -> Made:
        """A model with full tables."""

    def of_method(self, name: str, seed: int, limit: int, ratio: float) -> Made:
        """A model whose large tables are of a method, trained from the start.

        Args:
            name: The layer's class.
            seed: The seed of its training.
            limit: Bytes of its file without vocabularies, at most.
            ratio: How many times fewer these are than the full model's.

        Raises:
            ValueError: If no size of the method is that small.
        """

    def compressed(self, full: Any, seed: int, limit: int) -> Made:
        """A trained model of full tables, compressed to so many bytes.

        Raises:
            ValueError: If nothing is that small.
        """

    def metrics(self, path: Path, made: Made) -> dict[str, float]:
        """What a file, by itself, makes of the data for test."""

    def keep_examples(self, folder: Path) -> None:
        """Writes what `memcom compare --examples` takes, where the task has such."""
