"""How a ranker is trained, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from memcom_tf.errors import invalid
from memcom_tf.evaluation import Split
from memcom_tf.tables import check_positive
from memcom_tf.training.batches import TrainingBatches

EVALUATIONS = 5
"""How often a model is judged, where `evaluate_every` does not say."""
_EPOCHS = 4, 250
_STEPS = {"sequences": 10_000, "sets": 20_000}
"""Sets are cut anew every epoch, and are learned for longer before they are learned by heart."""


LEARNING_RATE = 4e-3
"""Where training starts from nothing."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        epochs: Epochs at most, over which the learning rate falls linearly to zero; None takes
            as many as make `steps`, at most 250.
        steps: Steps of training, where `epochs` does not say; None takes 10,000, of sets 20,000,
            and at least 4 epochs where these are no more than four times as many steps.
        learning_rate: The first learning rate of `LazyAdam`; None takes 0.004, and an update what
            `memcom_tf.training.update_ranker` says.
        weight_decay: Decoupled decay of tables of vectors, times the learning rate.
        batch_size: Examples in a step.
        patience: Evaluations without improvement after which training ends.
        evaluate_every: Epochs between evaluations; None evaluates five times.
        validation_users: Users of the validation that choose the epoch, at most; of more than
            100,000 items as many as make 10 billion scores, or 10,000.
        distillation: Share of the teacher in the loss, where there is one.
        loss: What targets are learned by, as of `memcom_tf.models.RankingLoss`.
        k: Length of the ranked list that nDCG judges.
        seed: Seed of everything.

    Raises:
        ValueError: If a number is out of range.
    """

    epochs: int | None = None
    steps: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.5
    batch_size: int = 256
    patience: int = 10
    evaluate_every: int | None = None
    validation_users: int = 10_000
    distillation: float = 0.7
    loss: Any = "softmax"
    k: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            steps=1 if self.steps is None else self.steps,
            batch_size=self.batch_size,
            patience=self.patience,
            validation_users=self.validation_users,
            k=self.k,
            evaluate_every=1 if self.evaluate_every is None else self.evaluate_every,
        )
        if self.epochs is not None and self.epochs < 0:
            raise invalid("`epochs` must be 0 or more, or None.", epochs=self.epochs)
        if not self.first_learning_rate > 0 or not self.weight_decay >= 0:
            raise invalid(
                "`learning_rate` must be positive, and `weight_decay` 0 or more.",
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
            )

    @property
    def first_learning_rate(self) -> float:
        """The learning rate that training starts with."""
        return LEARNING_RATE if self.learning_rate is None else self.learning_rate

    def steps_of(self, split: Split) -> int:
        """Steps of training on such interactions, where `epochs` does not say."""
        return self.steps or _STEPS["sequences" if split.ordered else "sets"]

    def schedule_of(self, batches: TrainingBatches) -> Schedule:
        """How long to train on such batches.

        Where steps make fewer than four epochs, training ends within one, and is judged after
        every fifth of the steps.
        """
        count = len(batches)
        if self.epochs is not None:
            return Schedule(self.epochs, count)
        least, most = _EPOCHS
        steps = self.steps_of(batches.split)
        if self.steps is None:
            steps = max(steps, min(least * count, least * steps))
        if steps >= least * count:
            return Schedule(min(round(steps / count), most), count)
        parts = min(EVALUATIONS, steps)
        return Schedule(parts, -(-steps // parts))

    def epochs_of(self, batches: TrainingBatches) -> int:
        """Epochs of training on such batches, or parts of one: those of `schedule_of`."""
        return self.schedule_of(batches).epochs


class Schedule(NamedTuple):
    """How long a training is.

    Attributes:
        epochs: How many times the model may be judged: epochs, or parts of one.
        steps: Steps in each.
    """

    epochs: int
    steps: int

    @property
    def num_steps(self) -> int:
        """All steps."""
        return self.epochs * self.steps
