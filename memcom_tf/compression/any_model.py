"""One call for both: what is trained again on interactions, and what is not."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

from memcom_tf.compression.candidates import Candidate
from memcom_tf.compression.clicks import ClickCompression, compress_clicks
from memcom_tf.compression.embeddings import ModelCompression, compress_embeddings
from memcom_tf.compression.ranker import compress_ranker
from memcom_tf.compression.result import Compression
from memcom_tf.compression.texts import TextCompression, compress_texts
from memcom_tf.errors import invalid
from memcom_tf.layers import CompressedEmbedding
from memcom_tf.models import ClickModel, TextClassifier

_FIRST = ("model", "interactions", "split")


def compress(
    model: Any,
    interactions: Any = None,
    *,
    ratio: float | None = None,
    max_bytes: int | None = None,
    max_minutes: float | None = None,
    settings: Any = None,
    candidates: Sequence[Candidate] | None = None,
    finalists: int | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    min_rows: int | None = None,
    method: str | type[CompressedEmbedding] | None = None,
    layers: Sequence[str] | None = None,
    frequencies: dict[str, Any] | None = None,
    inputs: Any = None,
    report: Callable[[str], None] | None = None,
) -> Compression | ClickCompression | TextCompression | ModelCompression:
    """Makes a trained model smaller.

    Args:
        model: A trained model.
        interactions: What a `NextItemRanker`, a `ClickModel` or a `TextClassifier` was trained on:
            it is then compressed and trained after the original by `compress_ranker`,
            `compress_clicks` or `compress_texts`, which loses least. None puts smaller tables into
            any Keras model by `compress_embeddings`, without training.
        ratio: How many times smaller, or ...
        max_bytes: ... the bytes of the file, at most.
        max_minutes: About how long it may take, with interactions.
        settings: How to train, with interactions.
        candidates: The methods to try of a ranker, and ...
        finalists: ... how many of them are trained, and ...
        checkpoints: ... the folder that it goes on from.
        min_rows: Of a click model, the rows of a table that is worth it.
        method: Without interactions, the method to put in, ...
        layers: ... the names of the layers to replace, ...
        frequencies: ... how often each id occurs, by layer, and ...
        inputs: ... what a subclassed model is called with.
        report: Called with lines on what is done, with interactions.

    Returns:
        What these functions return, with the new `model`.

    Raises:
        ValueError: For an argument that the function for this model does not take, by name; and as
            that function.

    Example:
        >>> from memcom_tf import FullEmbedding
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(FullEmbedding(500, 16), history_length=8)
        >>> ranker.build_once()
        >>> compress(ranker, max_bytes=24_000).file_bytes <= 24_000
        True
    """
    given = {name: value for name, value in locals().items() if value is not None}
    options = {name: value for name, value in given.items() if name not in _FIRST}
    if interactions is None:
        return compress_embeddings(model, **_taken(compress_embeddings, options))
    if isinstance(model, ClickModel):
        return compress_clicks(model, interactions, **_taken(compress_clicks, options))
    if isinstance(model, TextClassifier):
        return compress_texts(model, interactions, **_taken(compress_texts, options))
    return compress_ranker(model, interactions, **_taken(compress_ranker, options))


def _taken(function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options, all of which a function must take."""
    takes = [name for name in inspect.signature(function).parameters if name not in _FIRST]
    for name in options:
        if name not in takes:
            raise invalid(
                f"`{name}` must be left out: {function.__name__} compresses this model.",
                f"It takes {', '.join(takes)}.",
            )
    return options
