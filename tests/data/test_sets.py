"""A prepared log with a column `test` is what `hold_out` makes of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from memcom_tf import Vocabulary
from memcom_tf.data import open_dataset, prepare
from memcom_tf.datasets import load_log
from memcom_tf.evaluation import hold_out, load_split
from memcom_tf.training import TrainingSettings, streaming, train_ranker
from memcom_tf.training.batches import TrainingBatches
from memcom_tf.training.streaming import StreamedBatches, batches_of
from tests.data.logs import assert_same_split, flags_of, named, rows_of, write_csv, write_parquet

pytest.importorskip("duckdb")

LENGTH = 6


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log, its split, and its data sets of one and of several shards."""
    folder = tmp_path_factory.mktemp("sets")
    user, item, time = rows_of()
    flags = flags_of(len(user))
    path = write_csv(folder / "log.csv", named(user, "u"), named(item, "i"), time, test=flags)
    prepare(path, folder / "one")
    prepare(path, folder / "many", interactions_per_shard=200)
    opened = (open_dataset(folder / name, history_length=LENGTH) for name in ("one", "many"))
    return path, load_split(path, history_length=LENGTH), *opened


def test_the_split_is_that_of_the_file(log):
    _, wanted, one, many = log
    assert_same_split(one, wanted)
    assert many.num_shards == 8
    assert_same_split(many, wanted, in_order=False)
    for name in ("user", "item"):
        found = getattr(one.train_interactions, name).tolist()
        assert found == getattr(wanted.train_interactions, name).tolist()


@pytest.mark.parametrize("type_", ["bool", "double", "int8", "string"])
def test_flags_of_parquet(tmp_path, type_):
    user, item, time = rows_of(600)
    flags = pa.array(flags_of(600)).cast(type_)
    path = write_parquet(tmp_path / "log.parquet", user, item, time, test=flags)
    prepare(path, tmp_path / "data")
    wanted = load_split(path, history_length=LENGTH)
    assert_same_split(open_dataset(tmp_path / "data", history_length=LENGTH), wanted)


def test_rows_of_several_files_are_counted_on(tmp_path):
    user, item, time = rows_of(900)
    flags = flags_of(900)
    whole = write_parquet(tmp_path / "whole.parquet", user, item, time, test=flags)
    for number, part in enumerate(np.split(np.arange(900), (100, 500))):
        of = user[part], item[part], time[part]
        write_parquet(tmp_path / f"part{number}.parquet", *of, test=flags[part])
    prepare(str(tmp_path / "part*"), tmp_path / "data")
    wanted = load_split(whole, history_length=LENGTH)
    assert_same_split(open_dataset(tmp_path / "data", history_length=LENGTH), wanted)


def test_a_column_is_named_or_left_out(tmp_path):
    user, item, time = rows_of(600)
    path = write_csv(tmp_path / "log.csv", user, item, time, held=flags_of(600), test=["x"] * 600)
    prepare(path, tmp_path / "named", test="held")
    wanted = load_split(path, test="held", history_length=LENGTH)
    assert_same_split(open_dataset(tmp_path / "named", history_length=LENGTH), wanted)
    assert prepare(path, tmp_path / "none", test=None).ordered


@pytest.mark.parametrize("policy", ["drop", "share"])
def test_ids_are_those_of_a_vocabulary(log, policy):
    path, _, _, many = log
    known = named(range(3, 25), "i")
    vocabulary = Vocabulary(known, out_of_vocabulary="share" if policy == "share" else "error")
    given = {"vocabulary": vocabulary, "new_items": policy}
    wanted = hold_out(*load_log(path), history_length=LENGTH, **given)
    found = open_dataset(many.folder, history_length=LENGTH, **given)
    assert_same_split(found, wanted, in_order=False)
    turned = Vocabulary(known[::-1], out_of_vocabulary=vocabulary.out_of_vocabulary)
    assert_same_split(found.renumbered(turned), wanted.renumbered(turned), in_order=False)


def test_rare_items_get_no_id(log, tmp_path):
    path, split, _, _ = log
    counts = dict(zip(split.vocabulary, split.vocabulary.counts.tolist(), strict=True))
    vocabulary = Vocabulary.from_counts(counts, min_count=25, out_of_vocabulary="drop")
    assert 0 < len(vocabulary) < 20
    prepare(path, tmp_path / "data", min_count=25)
    given = {"vocabulary": vocabulary, "new_items": "drop"}
    wanted = hold_out(*load_log(path), history_length=LENGTH, **given)
    assert_same_split(open_dataset(tmp_path / "data", history_length=LENGTH), wanted)


def rows(batches):
    return np.concatenate([np.c_[history, target] for history, target in batches])


@pytest.mark.parametrize("size", [7, 50])
def test_one_shard_gives_the_batches_of_the_arrays(log, size):
    _, split, one, _ = log
    wanted = TrainingBatches(split, batch_size=size, seed=3)
    found = batches_of(one, batch_size=size, seed=3)
    assert isinstance(found, StreamedBatches) and len(found) == len(wanted)
    for _ in range(3):
        np.testing.assert_array_equal(rows(found.epoch()), rows(wanted.epoch()))


@pytest.mark.parametrize("at_once", [1, 20, 2**22])
def test_every_user_comes_once_in_an_epoch(log, at_once, monkeypatch):
    monkeypatch.setattr(streaming, "EXAMPLES_AT_ONCE", at_once)
    _, split, _, many = log
    batches = StreamedBatches(many, batch_size=9, seed=3)
    first, second = rows(batches.epoch()), rows(batches.epoch())
    assert len(first) == len(second) == len(split.train) // 9 * 9
    assert (first != second).any()
    again = StreamedBatches(many, batch_size=9, seed=3)
    again.skip(1)
    np.testing.assert_array_equal(rows(again.epoch()), second)


def test_training_from_a_data_set_is_training_from_the_log(log):
    settings = TrainingSettings(epochs=3, batch_size=16, k=5)
    found = [train_ranker(of, width=8, ratio=2, settings=settings) for of in log[1:3]]
    assert found[0].record == found[1].record
    for one, two in zip(*(each.model.get_weights() for each in found), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_sample_is_of_the_users_of_the_first_shards(log):
    _, split, _, many = log
    sample = many.sample("test", 5)
    users = split.test.user.tolist()
    assert len(sample) == 5 and set(sample.user) <= set(users)
    assert len(many.sample("test", 10**6)) == len(split.test)
