"""A trained ranker at a fraction of its bytes, and nearly all of its quality."""

from memcom_tf.compression.candidates import Candidate, candidates_for
from memcom_tf.compression.compress import SETTINGS, compress
from memcom_tf.compression.result import Compression, Trial

__all__ = ["SETTINGS", "Candidate", "Compression", "Trial", "candidates_for", "compress"]
