"""The libraries that orders and codebooks are made with, which ranking and training do not need."""

from __future__ import annotations

from typing import Any, NamedTuple

from memcom_tf.errors import message


class Libraries(NamedTuple):
    """faiss, and functions of SciPy and scikit-learn."""

    faiss: Any
    csr_matrix: Any
    randomized_svd: Any
    kmeans_plusplus: Any


def import_libraries() -> Libraries:
    """Imports them.

    Raises:
        ImportError: Naming what is missing, and how to install it.
    """
    try:
        import faiss
        import rich  # noqa: F401  shows the progress
        from scipy.sparse import csr_matrix
        from sklearn.cluster import kmeans_plusplus
        from sklearn.utils.extmath import randomized_svd
    except ImportError as error:
        raise ImportError(
            message(
                "faiss-cpu, scikit-learn and rich must be installed to order items by similarity, "
                "and to choose codebooks.",
                'Run: pip install "memcom_tf[order]".',
                missing=error.name,
            )
        ) from error
    return Libraries(faiss, csr_matrix, randomized_svd, kmeans_plusplus)
