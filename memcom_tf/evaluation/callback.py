"""Validation of a ranker while it trains."""

from __future__ import annotations

from typing import Any

from memcom_tf._keras import keras
from memcom_tf.evaluation.examples import Examples
from memcom_tf.evaluation.ranking import evaluate_ranking


class RankingValidation(keras.callbacks.Callback):
    """Adds `val_ndcg@k`, `val_recall@k` and `val_mrr` over the whole catalogue to an epoch's logs.

    Put it before `EarlyStopping(monitor="val_ndcg@10", mode="max")` in the list of callbacks.

    Args:
        examples: Validation examples of `leave_last_out`.
        k: Length of the ranked list.
        batch_size: Histories scored at a time; None as of `rank_examples`.
    """

    def __init__(self, examples: Examples, *, k: int = 10, batch_size: int | None = None) -> None:
        super().__init__()
        self.examples = examples
        self.k = k
        self.batch_size = batch_size

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates; Keras calls this."""
        metrics = evaluate_ranking(
            self.model.predict_on_batch, self.examples, k=self.k, batch_size=self.batch_size
        )
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in metrics.items()})
