"""Training of rankers with settings that were measured, alone or after a teacher."""

from memcom_tf.optimizers import AdaptTables
from memcom_tf.training.batches import TrainingBatches
from memcom_tf.training.distillation import DistilledRanker
from memcom_tf.training.fine_tuning import fine_tune
from memcom_tf.training.recipe import TrainedRanker, new_ranker, train_ranker
from memcom_tf.training.train import TrainingSettings, train

__all__ = [
    "AdaptTables",
    "DistilledRanker",
    "TrainedRanker",
    "TrainingBatches",
    "TrainingSettings",
    "fine_tune",
    "new_ranker",
    "train",
    "train_ranker",
]
