"""Interactions of fields: the layers of keras-rs, and under tf_keras those of TFRS."""

from __future__ import annotations

from typing import Any, Literal, get_args

import tensorflow as tf

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.errors import invalid, message

Interaction = Literal["deepfm", "dlrm", "dcn", "wide"]
INTERACTIONS: tuple[str, ...] = get_args(Interaction)

_CROSSES = 2
_PROJECTION = 32
"""Width of the crosses' low rank, at most."""


def check_interaction(interaction: str) -> None:
    """Requires the name of an interaction.

    Raises:
        ValueError: If it is none.
    """
    if interaction not in INTERACTIONS:
        raise invalid(f"`interaction` must be one of {INTERACTIONS}.", interaction=interaction)


def factorization(vectors: Any) -> Any:
    """The products of all pairs of vectors, summed: `[b, f, d]` gives `[b, 1]`.

    `sum_{i<j} v_i . v_j = (|sum_i v_i|^2 - sum_i |v_i|^2) / 2`.

    Source: Rendle, Factorization Machines, ICDM 2010.
    """
    total = tf.square(tf.reduce_sum(vectors, axis=1))
    own = tf.reduce_sum(tf.square(vectors), axis=1)
    return 0.5 * tf.reduce_sum(total - own, axis=-1, keepdims=True)


def dot_interaction(**kwargs: Any) -> Any:
    """The layer of DLRM: the products of all pairs of a list of vectors.

    Source: Naumov et al., Deep learning recommendation model, arXiv:1906.00091.
    """
    # With the zeros of the other half: TFRS picks the pairs by an operator that phones lack.
    return _layers().DotInteraction(skip_gather=not is_keras_3, **kwargs)


def width_of_dots(fields: int) -> int:
    """Values that `dot_interaction` gives for so many vectors."""
    return fields * (fields - 1) // 2 if is_keras_3 else fields**2


def crosses(width: int, **kwargs: Any) -> list[Any]:
    """The layers of DCN-v2 for vectors of a width, of low rank where they are wide.

    Source: Wang et al., DCN V2, arXiv:2008.13535.
    """
    projection = _PROJECTION if width > 2 * _PROJECTION else None
    layers = _layers()
    cross = layers.FeatureCross if is_keras_3 else layers.Cross
    return [cross(projection_dim=projection, **kwargs) for _ in range(_CROSSES)]


def _layers() -> Any:
    package = "keras-rs" if is_keras_3 else "tensorflow-recommenders"
    try:
        if is_keras_3:
            import keras_rs  # type: ignore[import-untyped]

            return keras_rs.layers
        from tensorflow_recommenders.layers import (  # type: ignore[import-untyped]
            feature_interaction,
        )

        return feature_interaction
    except ImportError as error:
        raise ImportError(
            message(
                f"{package} must be installed for the interactions 'dlrm' and 'dcn'.",
                f"Run: pip install {package}; 'deepfm' and 'wide' need none.",
                keras=keras.__version__,
                missing=error.name,
            )
        ) from error
