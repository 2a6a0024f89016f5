"""One call for both: what is trained again on interactions, and what is not."""

from __future__ import annotations

from typing import Any

from memcom_tf.compression.clicks import ClickCompression, compress_clicks
from memcom_tf.compression.embeddings import ModelCompression, compress_embeddings
from memcom_tf.compression.ranker import compress_ranker
from memcom_tf.compression.result import Compression
from memcom_tf.compression.texts import TextCompression, compress_texts
from memcom_tf.models import ClickModel, TextClassifier


def compress(
    model: Any, interactions: Any = None, **options: Any
) -> Compression | ClickCompression | TextCompression | ModelCompression:
    """Makes a trained model smaller.

    Args:
        model: A trained model.
        interactions: What a `NextItemRanker`, a `ClickModel` or a `TextClassifier` was trained on:
            it is then compressed and trained after the original by `compress_ranker`,
            `compress_clicks` or `compress_texts`, which loses least. None puts smaller tables into
            any Keras model by `compress_embeddings`, without training.
        **options: Those of either; both take `ratio` or `max_bytes`.

    Returns:
        What these functions return, with the new `model`.

    Example:
        >>> from memcom_tf import FullEmbedding
        >>> from memcom_tf.models import NextItemRanker
        >>> ranker = NextItemRanker(FullEmbedding(500, 16), history_length=8)
        >>> ranker.build_once()
        >>> compress(ranker, max_bytes=24_000).file_bytes <= 24_000
        True
    """
    if interactions is None:
        return compress_embeddings(model, **options)
    if isinstance(model, ClickModel):
        return compress_clicks(model, interactions, **options)
    if isinstance(model, TextClassifier):
        return compress_texts(model, interactions, **options)
    return compress_ranker(model, interactions, **options)
