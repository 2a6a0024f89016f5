"""What compression returns: the ranker, and the candidates that it was chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memcom_tf.compression.behaviour import Behaviour
from memcom_tf.compression.candidates import Candidate
from memcom_tf.evaluation import Split
from memcom_tf.models.catalogue_ranker import CatalogueRanker


@dataclass(frozen=True)
class Trial:
    """What became of a candidate.

    Attributes:
        candidate: The method and its size.
        file_bytes: Bytes of the exported file, without a vocabulary.
        ndcg_before: nDCG on validation in closed form, without training.
        ndcg_after: nDCG on validation after the training that it got; None without any.
        num_trained: Epochs that it was trained.
    """

    candidate: Candidate
    file_bytes: int
    ndcg_before: float
    ndcg_after: float | None = None
    num_trained: int = 0


@dataclass(frozen=True)
class Compression:
    """A compressed ranker, and how it came about.

    Attributes:
        model: The ranker, with the vocabulary whose order its tables need.
        split: The interactions under the ids of that vocabulary.
        trials: The candidates, in the order in which they were tried.
        chosen: The candidate that the model is made of.
        k: Length of the ranked list that was judged.
        ndcg_of_original: nDCG@k of the original on validation.
        ndcg: nDCG@k of the model on validation, float tables.
        original_bytes: Bytes of the original as a float32 file, without a vocabulary.
        file_bytes: Bytes of the model's file with integer tables, without a vocabulary.
        behaviour: What its lists have of the original's, on validation.
    """

    model: CatalogueRanker
    split: Split
    trials: Sequence[Trial]
    chosen: Candidate
    k: int
    ndcg_of_original: float
    ndcg: float
    original_bytes: int
    file_bytes: int
    behaviour: Behaviour

    @property
    def ratio(self) -> float:
        """How many times smaller the file is."""
        return self.original_bytes / self.file_bytes

    @property
    def loss(self) -> float:
        """Relative loss of nDCG on validation; negative where the model is better, nan of none."""
        return 1 - self.ndcg / self.ndcg_of_original if self.ndcg_of_original else float("nan")

    def __str__(self) -> str:
        return (
            f"{self.chosen}: {self.file_bytes:,} bytes, {self.ratio:.1f}x below "
            f"{self.original_bytes:,}; nDCG@{self.k} on validation {self.ndcg:.4f}, "
            f"{self._against_original()} {self.ndcg_of_original:.4f}\n{self.behaviour}"
        )

    def __repr__(self) -> str:
        return f"<Compression: {self}>"

    def _against_original(self) -> str:
        """How much was lost, or gained, in words."""
        if self.loss < 0:
            return f"{-100 * self.loss:.1f} % more than the original's"
        return f"{100 * self.loss:.1f} % lost of"
