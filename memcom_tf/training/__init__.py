"""Training of rankers, click models and models of texts with settings that were measured."""

from memcom_tf.optimizers import AdaptTables
from memcom_tf.training.batches import TrainingBatches
from memcom_tf.training.clicks import (
    ClickSettings,
    TrainedClickModel,
    train_click_model,
    train_clicks,
)
from memcom_tf.training.distillation import DistilledRanker
from memcom_tf.training.fine_tuning import fine_tune
from memcom_tf.training.recipe import TrainedRanker, new_ranker, train_ranker
from memcom_tf.training.settings import TrainingSettings
from memcom_tf.training.text_vectors import TextVectorSettings, distill_text_vectors
from memcom_tf.training.texts import (
    TextSettings,
    TrainedTextClassifier,
    train_text_classifier,
    train_texts,
)
from memcom_tf.training.train import train
from memcom_tf.training.updating import UpdatedRanker, update_ranker

__all__ = [
    "AdaptTables",
    "ClickSettings",
    "DistilledRanker",
    "TextSettings",
    "TextVectorSettings",
    "TrainedClickModel",
    "TrainedRanker",
    "TrainedTextClassifier",
    "TrainingBatches",
    "TrainingSettings",
    "UpdatedRanker",
    "distill_text_vectors",
    "fine_tune",
    "new_ranker",
    "train",
    "train_click_model",
    "train_clicks",
    "train_ranker",
    "train_text_classifier",
    "train_texts",
    "update_ranker",
]
