"""A trained ranker at a fraction of its bytes, and nearly all of its quality."""

from memcom_tf.compression.candidates import Candidate, candidates_for
from memcom_tf.compression.compress import Compression, compress

__all__ = ["Candidate", "Compression", "candidates_for", "compress"]
