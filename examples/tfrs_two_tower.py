"""Two towers of TensorFlow Recommenders with compressed embeddings, down to one `.tflite` file.

A query tower turns a user's history into a vector, a candidate tower does so with a film. TFRS
trains them on MovieLens 100K until the film watched next has a large dot product. A RetrievalModel
of both is converted to an int8 file, which alone then ranks the catalogue for one user.

    pip install "memcom_tf[tfrs,convert,demo]"
    python examples/tfrs_two_tower.py --output build/tfrs
    python examples/tfrs_two_tower.py --method QuotientRemainderEmbedding --ratio 8
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # TFRS is written for tf_keras, not for Keras 3.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

try:
    import tensorflow_recommenders as tfrs
except ImportError as error:  # It is not installed, or refuses the Keras 3 that runs already.
    raise SystemExit(
        "TensorFlow Recommenders must be installed, and TensorFlow must not run Keras 3 yet. "
        f"Received: error={str(error)!r}. "
        'Run: pip install "memcom_tf[tfrs,convert,demo]", then this script in a new process.'
    ) from error

import numpy as np
import tensorflow as tf

from memcom_tf import METHODS, MEmComEmbedding, Vocabulary, converters
from memcom_tf.datasets import movielens_100k
from memcom_tf.evaluation import evaluate_lists, evaluate_ranking, leave_last_out
from memcom_tf.models import RetrievalModel

HISTORY_LENGTH = 50
WIDTH = 32
K = 10
TOP_K = f"factorized_top_k/top_{K}_categorical_accuracy"
"""What TFRS calls the share of targets among the `K` best of the whole catalogue."""


def build_query_tower(vocabulary: Vocabulary, ratio: float) -> tf.keras.Model:
    """History ids `[b, L]`, padded with 0 -> `[b, WIDTH]`: the films' mean, then a layer."""
    history = tf.keras.Input([HISTORY_LENGTH], dtype=tf.int32, name="history")
    embedding = MEmComEmbedding.for_ratio(
        vocabulary.input_dim, WIDTH, ratio, combiner="mean", mask_zero=True, name="history_items"
    )
    query = tf.keras.layers.Dense(WIDTH)(embedding(history))
    return tf.keras.Model(history, query, name="query_tower")


def build_candidate_tower(vocabulary: Vocabulary, method: str, ratio: float) -> tf.keras.Model:
    """Film ids `[b]` -> `[b, WIDTH]`: the vectors as they are, by any of the methods."""
    item = tf.keras.Input([], dtype=tf.int32, name="item")
    embedding = METHODS[method].for_ratio(vocabulary.input_dim, WIDTH, ratio, name="items")
    return tf.keras.Model(item, embedding(item), name="candidate_tower")


class TwoTower(tfrs.models.Model):
    """Training by a softmax within the batch; evaluation over the whole catalogue."""

    def __init__(self, query_tower: Any, candidate_tower: Any, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.query_tower, self.candidate_tower = query_tower, candidate_tower
        ids = np.arange(vocabulary.first_id, vocabulary.input_dim, dtype=np.int32)
        catalogue = tf.data.Dataset.from_tensor_slices(ids).batch(512)
        self.task = tfrs.tasks.Retrieval(
            loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=tfrs.metrics.FactorizedTopK(
                catalogue.map(lambda ids: (ids, candidate_tower(ids))), ks=[K]
            ),
            loss_metrics=[tf.keras.metrics.Mean("mean_loss")],
            remove_accidental_hits=True,
        )
        # Films compete with the other targets of a batch, popular ones more often: TFRS corrects
        # the softmax by the probability of meeting them there.
        counts = np.concatenate([np.zeros(vocabulary.first_id), vocabulary.counts])
        self.probability = tf.constant(counts / counts.sum(), tf.float32)

    def compute_loss(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> Any:
        """The loss of a batch of histories and targets; `FactorizedTopK` outside of training."""
        history, target = inputs
        return self.task(
            self.query_tower(history),
            self.candidate_tower(target),
            candidate_sampling_probability=tf.gather(self.probability, target),
            candidate_ids=target,
            compute_metrics=not training,
        )


def report_epoch(epoch: int, logs: dict[str, float]) -> None:
    """Prints what an epoch came to."""
    top_k = f"validation FactorizedTopK top-{K} {logs[f'val_{TOP_K}']:.4f}"
    print(f"Epoch {epoch + 1}: mean loss {logs['mean_loss']:.4f}, {top_k}")


def report_test(name: str, metrics: dict[str, float]) -> None:
    """Prints metrics of the test targets."""
    print(f"Test, {name}: " + ", ".join(f"{key} {value:.4f}" for key, value in metrics.items()))


def export(model: Any, path: Path) -> converters.CompressedModelFile:
    """Converts a ranker, requires that LiteRT computes what it computes, and opens the file."""
    conversion = converters.convert(model, k=K)
    if not conversion.verification.passed:
        raise SystemExit(f"{model.name}: the file must equal it. {conversion.verification}")
    conversion.save(path, overwrite=True)
    file = converters.CompressedModelFile(path)
    print(f"{path}: {path.stat().st_size:,} bytes, {sorted(file.signatures)}, verified on LiteRT")
    return file


def main() -> None:
    """Trains, evaluates, exports, and ranks with the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("build/tfrs"))
    parser.add_argument("--method", choices=METHODS, default="MEmComEmbedding", help="of films")
    parser.add_argument("--ratio", type=float, default=4.0, help="compression of each table")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, help="training examples to use; default: all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tf.keras.utils.set_random_seed(options.seed)

    split = leave_last_out(movielens_100k(), history_length=HISTORY_LENGTH)
    train, validation, test = split.train, split.validation, split.test
    vocabulary = split.vocabulary
    try:
        query_tower = build_query_tower(vocabulary, options.ratio)
        candidate_tower = build_candidate_tower(vocabulary, options.method, options.ratio)
    except ValueError as error:  # For example, the method cannot reach the ratio.
        parser.error(str(error))
    model = TwoTower(query_tower, candidate_tower, vocabulary)
    model.compile(tf.keras.optimizers.Adam(5e-3))
    chosen = np.random.default_rng(options.seed).permutation(len(train))[: options.limit]
    model.fit(
        train.history[chosen],
        train.target[chosen],
        batch_size=512,
        epochs=options.epochs,
        validation_data=(validation.history, validation.target),
        callbacks=[tf.keras.callbacks.LambdaCallback(on_epoch_end=report_epoch)],
        verbose=0,
    )

    # The films' vectors are the last layer of their tower.
    ranker = RetrievalModel(query_tower, candidate_tower.layers[-1], vocabulary=vocabulary)
    ranker.build_once()

    # In the lists of FactorizedTopK, films that the user has watched take places. The evaluation
    # of memcom_tf leaves the history out, as an app does: its recall is another number.
    found = model.evaluate(test.history, test.target, return_dict=True, verbose=0)
    report_test("FactorizedTopK, history not left out", {f"top-{K}": found[TOP_K]})
    metrics = evaluate_ranking(ranker.predict_on_batch, test, k=K)
    report_test("memcom_tf, history left out", metrics)

    options.output.mkdir(parents=True, exist_ok=True)
    file = export(ranker, options.output / "two_tower.tflite")
    metrics = evaluate_lists(lambda history: file.rank(history)[0], test, k=K)
    report_test("the file, history left out", metrics)
    titles = file.vocabulary.detail("title", file.rank(test.history[0])[0])
    print(f"Best for user {test.user[0]}, ranked with the file alone:")
    print("\n".join(f"{place:3}. {title}" for place, title in enumerate(titles, start=1)))


if __name__ == "__main__":
    main()
