"""Sparse combinations: a vector is a weighted sum of a few atoms of one dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from memcom_tf.approximation import closed_forms, sparse_codes
from memcom_tf.errors import invalid
from memcom_tf.layers.contract.layer import CompressedEmbedding, register_method
from memcom_tf.ops.hashing import UniversalHash
from memcom_tf.ops.interface import Array, Ops
from memcom_tf.tables import Table, Tables, check_positive

_MOST_CODES = 256


@register_method
class SparseDictionaryEmbedding(CompressedEmbedding):
    """Sparse combinations: `vector(i) = sum_k W[i, k] D[c_k(i)]`.

    `D` are `num_atoms` rows that all ids share, of which each id has `num_nonzero`, chosen by
    integer codes, with a factor each. The codes are chosen by `from_table`, and are not trained;
    all else is. In a new layer they are hashes of the id, as in `HashWeightedEmbedding`.

    Source: Kasalicky et al., The future is sparse: embedding compression for scalable retrieval in
    recommender systems, RecSys 2025, arXiv:2505.11388, which has a trained encoder where
    `from_table` has orthogonal matching pursuit; Liang et al., Anchor & transform, ICLR 2021,
    arXiv:2003.08197.

    Args:
        *args: `input_dim`, `output_dim` and what follows them in `CompressedEmbedding`.
        num_nonzero: Atoms of an id, `k`.
        num_atoms: Rows of the dictionary; a code takes 8 bits up to 256 of them, else 16.
        **kwargs: The same by keyword.

    Raises:
        ValueError: If a size is not positive, or `num_nonzero` larger than `num_atoms`.

    Example:
        >>> layer = SparseDictionaryEmbedding(1_000_000, 64, num_nonzero=4)
        >>> layer(np.array([5, 999_999])).shape
        TensorShape([2, 64])
    """

    formula = "sum_k W[i, k] * D[c_k(i)]"
    source = "arXiv:2505.11388"
    size_argument = "num_nonzero"
    takes_metric = True
    reads_rows_of_ids = True
    can_grow = False
    variants = ({"num_atoms": 40},)

    def __init__(
        self, *args: Any, num_nonzero: int, num_atoms: int = _MOST_CODES, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        check_positive(num_nonzero=num_nonzero, num_atoms=num_atoms)
        if num_nonzero > num_atoms:
            raise invalid(
                "`num_nonzero` must be at most `num_atoms`.",
                num_nonzero=num_nonzero,
                num_atoms=num_atoms,
            )
        self.num_nonzero, self.num_atoms = int(num_nonzero), int(num_atoms)

    def tables(self) -> tuple[Table, ...]:
        shape = self.input_dim, self.num_nonzero
        if self.num_atoms <= _MOST_CODES:
            codes = Table.of_codes(
                "codes", *shape, num_codes=self.num_atoms, initializer=self._hashed
            )
        else:
            codes = Table.of_index(
                "codes", *shape, num_values=self.num_atoms, initializer=self._hashed
            )
        # Of so few factors a scale for each row would take more than they.
        factors = Table("factors", *shape, initializer="ones", storage="int8_per_table")
        atoms = Table("dictionary", self.num_atoms, self.output_dim, terms=self.num_nonzero)
        return (codes, factors, atoms)

    def _hashed(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Each atom of an id from a part of its own of the dictionary, so that no two are one."""
        ids, part = np.arange(self.input_dim), self.num_atoms // self.num_nonzero
        hashes = [
            index * part + UniversalHash(self.input_dim, part, index)(ids)
            for index in range(self.num_nonzero)
        ]
        return tf.constant(np.stack(hashes, axis=1), dtype)

    def lookup(self, xp: Ops, ids: Array, t: Tables) -> Array:
        atoms = xp.gather(t["dictionary"], xp.gather(t["codes"], ids))
        return xp.sum(atoms * xp.gather(t["factors"], ids)[..., None])

    def lookup_scores(self, xp: Ops, query: Array, t: Tables) -> Array:
        of_atoms = xp.scores(query, t["dictionary"])
        factors = xp.values(t["factors"])
        scores = [
            xp.gather_columns(of_atoms, xp.column(t["codes"], index))
            * xp.reshape(factors[:, index : index + 1], (-1,))
            for index in range(self.num_nonzero)
        ]
        return sum(scores[1:], start=scores[0])

    def approximate(
        self, table: np.ndarray, weights: np.ndarray, metric: np.ndarray | None = None
    ) -> Tables:
        """A dictionary by the method of optimal directions, codes by matching pursuit."""
        space = closed_forms.Whitening(metric)
        inside = space.into(table)
        atoms = sparse_codes.learn_dictionary(inside, weights, self.num_atoms, self.num_nonzero)
        codes, factors = sparse_codes.orthogonal_matching_pursuit(inside, atoms, self.num_nonzero)
        return {"codes": codes, "factors": factors, "dictionary": space.back(atoms)}

    @classmethod
    def size_range(cls, input_dim: int, output_dim: int, **kwargs: Any) -> range:
        return range(1, min(output_dim, kwargs.get("num_atoms", _MOST_CODES)) + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_nonzero": self.num_nonzero,
            "num_atoms": self.num_atoms,
        }
