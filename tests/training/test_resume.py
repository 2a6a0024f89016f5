"""Training that goes on after it was killed, and what is kept where a disk is full."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.cli import checkpoints
from memcom_tf.cli import main as cli
from memcom_tf.evaluation import leave_last_out
from memcom_tf.training import TrainingSettings, new_ranker, train, train_ranker
from memcom_tf.training.batches import TrainingBatches
from tests.training.test_training import log_of_kinds

SETTINGS = TrainingSettings(epochs=4, evaluate_every=1, learning_rate=0.02, batch_size=32, k=5)


@pytest.fixture(scope="module")
def split():
    return leave_last_out(log_of_kinds(users=60), history_length=6)


class Stopped(BaseException):
    """As a signal would end it."""


def dying_after(epochs, monkeypatch):
    """Has the third checkpoint, say, be the last thing that happens."""
    from memcom_tf.training import checkpoint

    save = checkpoint.Checkpoint.save

    def saved(self, state):
        save(self, state)
        if state.epoch == epochs and not state.finished:
            raise Stopped

    monkeypatch.setattr(checkpoint.Checkpoint, "save", saved)


def quiet_ranker(split):
    """Without dropout, whose draws a checkpoint does not hold in every Keras."""
    keras.utils.set_random_seed(4)
    ranker = new_ranker(split, width=6, dropout=0.0)
    ranker.build_once()
    return ranker


@pytest.mark.few(1)
@pytest.mark.parametrize("has_teacher", [False, True])
def test_a_resumed_training_ends_as_one_in_one_go(split, has_teacher, tmp_path, monkeypatch):
    teacher = quiet_ranker(split) if has_teacher else None
    whole = quiet_ranker(split)
    record = train(whole, split, SETTINGS, teacher=teacher)
    path = tmp_path / "training.npz"
    with monkeypatch.context() as patch:
        dying_after(2, patch)
        with pytest.raises(Stopped):
            train(quiet_ranker(split), split, SETTINGS, teacher=teacher, checkpoint=path)
    resumed = quiet_ranker(split)
    epochs = []
    epoch = TrainingBatches.epoch
    monkeypatch.setattr(TrainingBatches, "epoch", lambda self: epochs.append(1) or epoch(self))
    assert train(resumed, split, SETTINGS, teacher=teacher, checkpoint=path) == record
    for one, two in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    # What was finished is not trained again.
    count = len(epochs)
    again = quiet_ranker(split)
    assert train(again, split, SETTINGS, teacher=teacher, checkpoint=path) == record
    for one, two in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert len(epochs) - count <= SETTINGS.epochs


@pytest.mark.long
def test_ratio_and_dropout_can_be_resumed_too(split, tmp_path, monkeypatch):
    path = tmp_path / "training.npz"
    with monkeypatch.context() as patch:
        dying_after(1, patch)
        with pytest.raises(Stopped):
            train_ranker(split, width=8, ratio=3, settings=SETTINGS, checkpoint=path)
    found = train_ranker(split, width=8, ratio=3, settings=SETTINGS, checkpoint=path)
    assert set(found.record["ndcg"]) == set(range(5))


def test_another_training_is_refused(split, tmp_path):
    path = tmp_path / "training.npz"
    train(quiet_ranker(split), split, replace(SETTINGS, epochs=1), checkpoint=path)
    with pytest.raises(ValueError, match="go on with the data, the model and the settings"):
        train(quiet_ranker(split), split, replace(SETTINGS, epochs=2), checkpoint=path)
    path.write_bytes(b"PK\x03\x04 no")
    with pytest.raises(ValueError, match="must be a file that training wrote"):
        train(quiet_ranker(split), split, SETTINGS, checkpoint=path)


def test_training_goes_on_where_no_checkpoint_can_be_written(split, tmp_path):
    path = tmp_path / "none" / "training.npz"
    with pytest.warns(RuntimeWarning, match=r"checkpoint must be written.*training\.npz"):
        record = train(quiet_ranker(split), split, replace(SETTINGS, epochs=1), checkpoint=path)
    assert set(record["ndcg"]) == {0, 1}


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 8).tolist()
    with open(path, "w", newline="") as file:
        rows = zip(users, rng.integers(0, 60, 640).tolist(), strict=True)
        csv.writer(file).writerows([("user", "item"), *rows])
    return path


def memcom_train(log, output, *words):
    command = ["train", str(log), "-o", str(output), "--epochs", "2", "--width", "4"]
    return cli.main([*command, *words])


def test_the_command_resumes_and_cleans_up(log, tmp_path, monkeypatch, capsys):
    output = tmp_path / "n.keras"
    checkpoint = tmp_path / "n.keras.checkpoint" / "training.npz"
    with monkeypatch.context() as patch:
        dying_after(1, patch)
        with pytest.raises(Stopped):
            memcom_train(log, output)
    assert checkpoint.is_file() and not output.exists()
    assert memcom_train(log, output, "--resume") == 0
    assert "going on from" in capsys.readouterr().err
    assert output.is_file() and not checkpoint.parent.exists()
    assert memcom_train(log, output, "--resume", "--force") == 0
    assert "starting anew" in capsys.readouterr().err


def test_without_resume_the_command_starts_anew(log, tmp_path):
    folder = tmp_path / "n.keras.checkpoint"
    folder.mkdir()
    (folder / "training.npz").write_bytes(b"of another training")
    assert memcom_train(log, tmp_path / "n.keras") == 0


def test_the_place_is_checked_before_training(log, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        os, "statvfs", lambda path: os.statvfs_result((1, 1, 9, 9, 9, 9, 9, 9, 0, 255))
    )
    assert memcom_train(log, tmp_path / "n.keras") == 2
    error = capsys.readouterr().err
    assert "must be room" in error and "n.keras" in error
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def failing(count, place):
    """A way of saving that fails in one place so many times."""
    failures = [0]

    def save(path: Path):
        if path.parent == place and failures[0] < count:
            failures[0] += 1
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(b"model")

    return save


def test_what_was_learned_is_kept_elsewhere(tmp_path, monkeypatch):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for folder in (home, elsewhere, home / "n.keras.checkpoint"):
        folder.mkdir()
    monkeypatch.setattr(checkpoints.tempfile, "tempdir", str(elsewhere))
    save = checkpoints.save_or_rescue
    with pytest.raises(OSError, match=r"n\.keras.*No space.*saved as .*elsewhere.*move it"):
        save(home / "n.keras", failing(9, home), None)
    (saved,) = elsewhere.rglob("n.keras")
    assert saved.read_bytes() == b"model"
    saved.unlink()
    # Without the checkpoint there may be room.
    save(home / "n.keras", failing(1, home), home / "n.keras.checkpoint")
    assert [path.name for path in home.iterdir()] == ["n.keras"]
    assert not [*elsewhere.rglob("n.keras")]


def test_where_nothing_can_be_written_the_checkpoint_stays(tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()

    def save(path):
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(OSError, match=r"n\.keras.*go on with --resume"):
        checkpoints.save_or_rescue(tmp_path / "n.keras", save, checkpoint)
    assert checkpoint.is_dir()
