"""Training from a data set on disk is training from the arrays."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.data import open_dataset, prepare
from memcom_tf.data.prepared_split import PreparedSplit
from memcom_tf.evaluation import load_split
from memcom_tf.training import TrainingSettings, streaming, train, train_ranker
from memcom_tf.training.batches import TrainingBatches
from memcom_tf.training.progress import MemoryForecast, TrainingProgress, forecast
from memcom_tf.training.recipe import new_ranker
from memcom_tf.training.streaming import StreamedBatches, batches_of
from tests.data.logs import named, rows_of, write_csv

pytest.importorskip("duckdb")

LENGTH = 6
SETTINGS = TrainingSettings(epochs=2, batch_size=32, k=5, learning_rate=0.02)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log, its split, and its data sets of one and of several shards."""
    folder = tmp_path_factory.mktemp("log")
    user, item, time = rows_of()
    path = write_csv(folder / "log.csv", named(user, "u"), named(item, "i"), time)
    prepare(path, folder / "one")
    prepare(path, folder / "many", interactions_per_shard=200)
    opened = (open_dataset(folder / name, history_length=LENGTH) for name in ("one", "many"))
    return load_split(path, history_length=LENGTH), *opened


def rows(batches):
    return np.concatenate([np.c_[history, target] for history, target in batches])


def test_one_shard_gives_the_batches_of_the_arrays(log):
    split, one, _ = log
    wanted = TrainingBatches(split, batch_size=50, seed=3)
    found = batches_of(one, batch_size=50, seed=3)
    assert isinstance(found, StreamedBatches) and len(found) == len(wanted)
    for _ in range(2):
        np.testing.assert_array_equal(rows(found.epoch()), rows(wanted.epoch()))


def test_workers_share_the_shards_that_are_not_read_at_once(log, monkeypatch):
    _, one, many = log
    whole = StreamedBatches(many, batch_size=25, seed=3)
    assert whole.of_worker(1, 2) is whole  # all is read at once
    monkeypatch.setattr(streaming, "EXAMPLES_AT_ONCE", 300)
    assert StreamedBatches(one, batch_size=25).of_worker(1, 2).split is one
    parts = [whole.of_worker(index, 2) for index in range(2)]
    assert [part.batch_size for part in parts] == [12, 13]
    shards = [set(part._shards.tolist()) for part in parts]
    assert shards[0] | shards[1] == set(range(many.num_shards)) and not shards[0] & shards[1]
    for part, own in zip(parts, shards, strict=True):
        examples = many.examples_of_shard[sorted(own)].sum()
        found = rows(part.epoch())
        assert len(found) == len(part) * part.batch_size > examples - part.batch_size
        # One that goes on is where one in one go would be.
        skipped = whole.of_worker(parts.index(part), 2)
        skipped.skip(1)
        np.testing.assert_array_equal(rows(skipped.epoch()), rows(part.epoch()))


@pytest.mark.parametrize("at_once", [1, 300, 2**22])
def test_every_example_comes_once_in_an_epoch_in_an_order_of_the_seed(log, at_once, monkeypatch):
    monkeypatch.setattr(streaming, "EXAMPLES_AT_ONCE", at_once)
    split, _, many = log
    batches = StreamedBatches(many, batch_size=50, seed=3)
    first, second = rows(batches.epoch()), rows(batches.epoch())
    everything = np.c_[split.train.history, split.train.target]
    left = len(everything) % 50
    counts = {tuple(row): 0 for row in everything.tolist()}
    for row in everything.tolist():
        counts[tuple(row)] += 1
    for row in first.tolist():
        counts[tuple(row)] -= 1
    assert min(counts.values()) == 0 and sum(counts.values()) == left
    assert len(first) == len(second) == len(everything) - left
    assert (first != second).any()
    again = StreamedBatches(many, batch_size=50, seed=3)
    np.testing.assert_array_equal(rows(again.epoch()), first)
    # Examples of several shards are in one batch where they are read together.
    again = StreamedBatches(many, batch_size=50, seed=3)
    again.skip(1)
    np.testing.assert_array_equal(rows(again.epoch()), second)


def test_a_stream_goes_on_within_an_epoch(log):
    _, _, many = log
    whole = StreamedBatches(many, batch_size=50, seed=3).dataset()
    whole = [np.c_[history, target] for history, target in whole.take(9).as_numpy_iterator()]
    rest = StreamedBatches(many, batch_size=50, seed=3).dataset(skipped=4)
    rest = [np.c_[history, target] for history, target in rest.take(5).as_numpy_iterator()]
    np.testing.assert_array_equal(whole[4:], rest)


@pytest.mark.parametrize("ratio", [None, 3])
@pytest.mark.parametrize("length", [{}, {"epochs": None, "steps": 20}])
def test_training_from_a_data_set_is_training_from_the_log(log, ratio, length):
    settings = TrainingSettings(**{"epochs": 2, "batch_size": 32, "k": 5, **length})
    found = [train_ranker(of, width=8, ratio=ratio, settings=settings) for of in log[:2]]
    assert found[0].record == found[1].record
    for one, two in zip(*(each.model.get_weights() for each in found), strict=True):
        np.testing.assert_array_equal(one, two)


class Stopped(BaseException):
    """As a signal would end it."""


def test_a_training_that_ends_within_an_epoch_can_be_resumed(log, tmp_path, monkeypatch):
    from memcom_tf.training import checkpoint

    _, _, many = log
    settings = TrainingSettings(steps=20, batch_size=32, k=5)

    def ranker():
        keras.utils.set_random_seed(4)
        model = new_ranker(many, width=6, dropout=0.0)
        model.build_once()
        return model

    whole, resumed, path = ranker(), ranker(), tmp_path / "training.npz"
    record = train(whole, many, settings)
    assert set(record["ndcg"]) == set(range(6))
    with monkeypatch.context() as patch:
        save = checkpoint.Checkpoint.save

        def saved(self, state):
            save(self, state)
            if state.epoch == 3:
                raise Stopped

        patch.setattr(checkpoint.Checkpoint, "save", saved)
        with pytest.raises(Stopped):
            train(ranker(), many, settings, checkpoint=path)
    assert train(resumed, many, settings, checkpoint=path) == record
    for one, two in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_no_array_of_all_examples_is_made(log, monkeypatch):
    """Training reads shards: neither all histories nor all interactions."""
    _, _, many = log
    opened = open_dataset(many.folder, history_length=LENGTH)
    for name in ("validation", "test", "train_interactions"):
        monkeypatch.setattr(PreparedSplit, name, property(lambda self: pytest.fail("all of them")))
    settings = TrainingSettings(epochs=1, batch_size=32, k=5, validation_users=10)
    said = []
    train(new_ranker(opened, width=4), opened, settings, report=said.append)
    assert "_all" not in vars(opened.train)
    held_out = opened.manifest.statistics["users_with_held_out_items"]
    assert f"validation: 10 of {held_out} users" in said
    assert said[0].startswith("memory: about")


def test_a_sample_is_of_the_users_of_the_first_shards(log):
    split, _, many = log
    users = split.validation.user.tolist()
    sample = many.sample("validation", 12)
    assert len(sample) == 12
    places = [users.index(user) for user in sample.user.tolist()]
    np.testing.assert_array_equal(split.validation.history[places], sample.history)
    assert len(many.sample("test", 10**6)) == len(split.test)


def test_the_forecast_counts_what_training_holds(log):
    split, one, _ = log
    model = new_ranker(split, width=8)
    parts = forecast(model, split, TrainingBatches(split), 512).parts
    assert parts["tables"] == 4 * split.vocabulary.input_dim * 8
    assert parts["examples"] > split.train.history.nbytes
    of_stream = forecast(model, one, batches_of(one), 512).parts
    assert of_stream["examples"] < 100 * len(one.train)
    assert MemoryForecast({"tables": 3 * 10**9}, 10**9).line().endswith("it may not fit")
    assert "free" not in MemoryForecast({"tables": 10**9}, None).line()


def test_progress_is_said_every_half_minute():
    said, seconds = [], [0.0]
    progress = TrainingProgress(100, 32, said.append, clock=lambda: seconds[0])
    progress.set_params({"steps": 20, "epochs": 5})
    progress.on_epoch_begin(1)
    for batch in range(80):
        progress.on_train_batch_end(batch)
        seconds[0] += 1
    assert said == [
        "step 26 of 100, 32 rows a second, 74 s left",
        "step 56 of 100, 32 rows a second, 44 s left",
        "step 86 of 100, 32 rows a second, 14 s left",
    ]
    progress.on_epoch_end(4, {"loss": 1.0, "val_ndcg@10": 0.25})
    assert said[3:] == ["epoch 5 of 5: on validation ndcg@10 0.2500"]
