"""Documents: texts with a class each, in memory and from files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memcom_tf.datasets.files.columns import Kind, shown
from memcom_tf.datasets.files.opening import open_columns
from memcom_tf.datasets.labels import Labels
from memcom_tf.datasets.row_files import check_columns
from memcom_tf.errors import argument, invalid

if TYPE_CHECKING:
    from typing_extensions import Self

TEXT, LABEL = "text", "label"


@dataclass(frozen=True, eq=False)
class Documents:
    """Texts, and the class of each.

    Attributes:
        text: [n] texts, "" where one is missing.
        label: [n] names of classes; None where there are none, as of documents to classify.
        time: [n] times; None where the order of the documents says nothing.
        is_test: [n] which documents are held out; None where the data does not say.
        name: What the texts are called: the column of a file.

    Raises:
        ValueError: If columns differ in length.

    Example:
        >>> documents = Documents.of(["green tea", "cold milk"], label=["tea", "milk"])
        >>> len(documents), documents[:1].labels.array().tolist()
        (2, ['tea'])
    """

    text: Labels
    label: Labels | None = None
    time: npt.NDArray[Any] | None = None
    is_test: npt.NDArray[np.bool_] | None = None
    name: str = TEXT

    def __post_init__(self) -> None:
        columns = {"text": self.text, **self._others()}
        lengths = {name: len(column) for name, column in columns.items() if column is not None}
        if len(set(lengths.values())) > 1:
            raise invalid("The columns must have equal lengths.", "", **lengths)

    def _others(self) -> dict[str, Any]:
        return {"label": self.label, "time": self.time, "is_test": self.is_test}

    @classmethod
    def of(
        cls,
        text: Sequence[str],
        label: Sequence[Any] | None = None,
        *,
        time: Sequence[Any] | None = None,
        is_test: Sequence[Any] | None = None,
        name: str = TEXT,
    ) -> Self:
        """Documents from lists or arrays.

        Args:
            text: Texts, None where one is missing.
            label: Names of classes, strings or integers.
            time: Times.
            is_test: Flags of what is held out.
            name: What the texts are called.
        """
        return cls(
            Labels.encode(["" if one is None else str(one) for one in text], "text"),
            None if label is None else Labels.encode([str(one) for one in label], "label"),
            None if time is None else np.asarray(time),
            None if is_test is None else np.asarray(is_test).astype(bool),
            name,
        )

    @property
    def labels(self) -> Labels:
        """The classes.

        Raises:
            ValueError: If there are none.
        """
        if self.label is None:
            raise invalid(
                "The documents must have labels.",
                f"Name the column of labels: {argument('label')}.",
            )
        return self.label

    @property
    def columns(self) -> dict[str, Labels]:
        """The texts by their name, as `memcom_tf.features.Features.encode` takes them."""
        return {self.name: self.text}

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, rows: Any) -> Documents:
        """Some of the documents: a slice, numbers or a mask."""
        others = {name: None if x is None else x[rows] for name, x in self._others().items()}
        return Documents(self.text[rows], **others, name=self.name)

    def __repr__(self) -> str:
        classes = ""
        if self.label is not None:
            classes = f" of {len(np.unique(self.label.codes))} classes"
        return f"<Documents: {len(self):,}{classes}>"


def load_documents(
    path: str | os.PathLike[str],
    text: str = TEXT,
    label: str | None = LABEL,
    *,
    time: str | None = None,
    test: str | None = None,
    report: Callable[[str], object] | None = None,
) -> Documents:
    """Reads documents from a file.

    Args:
        path: A file as `memcom_tf.datasets.load_rows` takes it. A text may have several lines, in
            quotes.
        text: The column of texts.
        label: The column of classes, strings or integers; None reads none.
        time: The column of times; None where there is none.
        test: The column of 0 and 1 that says what is held out; None where there is none.
        report: Called with one line that says what was read as what.

    Returns:
        The documents.

    Raises:
        ImportError: If pyarrow is not installed.
        OSError: If the file cannot be read.
        ValueError: If the file is of another kind or damaged, lacks a column, or a document has
            no label.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "mail.csv"
        ...     _ = path.write_text('text,label' + chr(10) + '"Hello, you!",friend')
        ...     load_documents(path, report=print)
        reading texts from `text`, classes from `label`
        <Documents: 1 of 1 classes>
    """
    file = open_columns(path)
    named = {text: "text", label: "category", test: "flag", time: "time"}
    kinds: dict[str, Kind] = {name: kind for name, kind in named.items() if name}  # type: ignore[misc]
    given = [name for name in (text, label, test, time) if name]
    if len(kinds) < len(given):
        raise invalid("A column must be one thing.", "Name it once.", columns=given)
    check_columns(file, given)
    if report is not None:
        report(_reading(text, label, time, test))
    found: dict[str, Any] = file.read(kinds)
    documents = Documents(
        found[text],
        found[label] if label else None,
        found[time] if time else None,
        found[test] if test else None,
        text,
    )
    _check_labels(documents, label, str(path))
    return documents


def _reading(text: str, label: str | None, time: str | None, test: str | None) -> str:
    parts = [f"texts from `{shown(text)}`"]
    parts += [f"classes from `{shown(label)}`"] if label else []
    parts += [f"time from `{shown(time)}`"] if time else []
    parts += [f"what is held out from `{shown(test)}`"] if test else []
    return f"reading {', '.join(parts)}"


def _check_labels(documents: Documents, column: str | None, path: str) -> None:
    """Requires that every document has a class."""
    if documents.label is None:
        return
    missing = np.flatnonzero(documents.label.array() == "")
    if len(missing):
        raise invalid(
            "Every document must have a class.",
            "Leave those rows out, or fill them in.",
            column=column,
            how_many=len(missing),
            row=int(missing[0]) + 1,
            path=path,
        )
