"""Trained models at a fraction of their bytes, and rankers with nearly all of their quality."""

from memcom_tf.compression.any_model import compress
from memcom_tf.compression.candidates import Candidate, candidates_for
from memcom_tf.compression.clicks import CLICK_SETTINGS, ClickCompression, compress_clicks
from memcom_tf.compression.embeddings import LayerCompression, ModelCompression, compress_embeddings
from memcom_tf.compression.importance import shapley_importance
from memcom_tf.compression.ranker import SETTINGS, compress_ranker
from memcom_tf.compression.result import Compression, Trial
from memcom_tf.compression.texts import TEXT_SETTINGS, TextCompression, compress_texts

__all__ = [
    "CLICK_SETTINGS",
    "SETTINGS",
    "TEXT_SETTINGS",
    "Candidate",
    "ClickCompression",
    "Compression",
    "LayerCompression",
    "ModelCompression",
    "TextCompression",
    "Trial",
    "candidates_for",
    "compress",
    "compress_clicks",
    "compress_embeddings",
    "compress_ranker",
    "compress_texts",
    "shapley_importance",
]
