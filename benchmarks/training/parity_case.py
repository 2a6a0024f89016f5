"""One training of the demo's MEmCom ranker on MovieLens 100K; a worker process."""

from __future__ import annotations

import functools
import json
import sys
import warnings
from typing import Any
from unittest import mock

NUM_NEGATIVES = 256
"""Of the sampled softmax, whose gradients are sparse; those of the full one are dense."""


def train(
    loss: str, optimizer: str, seed: int, epochs: int, examples: int | None
) -> dict[str, Any]:
    """Trains as `examples/movielens_demo.py` does, but for the loss and the optimizer.

    Args:
        loss: "sampled" or "full", the softmax.
        optimizer: "lazy_adam" or "adam".
        seed: Seed of everything.
        epochs: Epochs.
        examples: How many training examples, None for all.

    Returns:
        "losses" of the epochs, "running_losses" (at every step, of its epoch so far), and
        "ndcg_at_10" on the test targets, of the epoch that is best on the validation targets.
    """
    import tensorflow as tf

    from examples.movielens_demo import HISTORY_LENGTH, K, recipes
    from memcom_tf._keras import keras
    from memcom_tf.datasets import movielens_100k
    from memcom_tf.evaluation import RankingValidation, evaluate_ranking, leave_last_out
    from memcom_tf.models import NextItemRanker
    from memcom_tf.optimizers import LazyAdam

    class RunningLosses(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.values: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.values.append(float(logs["loss"]))

    split = leave_last_out(movielens_100k(), history_length=HISTORY_LENGTH)
    histories, targets = split.train.history[:examples], split.train.target[:examples]
    recipe = next(r for r in recipes(split.vocabulary.input_dim) if r.name == "memcom")
    keras.utils.set_random_seed(seed)
    model = NextItemRanker(
        recipe.embedding,
        history_length=HISTORY_LENGTH,
        dropout=0.1,
        item_dropout=0.1,
        num_negatives=NUM_NEGATIVES if loss == "sampled" else None,
        vocabulary=split.vocabulary,
    )
    model.build((None, HISTORY_LENGTH))
    batch_size = 512
    steps = epochs * -(-len(targets) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps, alpha=0.05)
    model.compile({"lazy_adam": LazyAdam, "adam": keras.optimizers.Adam}[optimizer](schedule))
    running = RunningLosses()
    best_epoch = keras.callbacks.EarlyStopping(
        f"val_ndcg@{K}", mode="max", patience=4, restore_best_weights=True
    )
    # TensorFlow seeds a random op by how many ops its graph had before it, which differs between
    # fused and plain ops: a seed of its own makes both draw the same negatives.
    seeded = functools.partial(tf.random.uniform, seed=seed)
    with mock.patch.object(tf.random, "uniform", seeded):
        history = model.fit(
            histories,
            targets,
            batch_size=batch_size,
            epochs=epochs,
            verbose=0,
            callbacks=[RankingValidation(split.validation, k=K), best_epoch, running],
        )
    test = evaluate_ranking(model.predict_on_batch, split.test, k=K)
    return {
        "losses": history.history["loss"],
        "ndcg_at_10": test[f"ndcg@{K}"],
        "running_losses": running.values,
    }


def main() -> None:
    """Trains and prints the result."""
    arguments = json.loads(sys.argv[1])
    warnings.filterwarnings("error", ".*plain TensorFlow ops", RuntimeWarning)
    print(json.dumps(train(**arguments)))


if __name__ == "__main__":
    main()
