"""Training of click models and text classifiers that goes on after it was stopped."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.cli.main import main
from memcom_tf.data import prepare_rows
from memcom_tf.datasets import Columns
from memcom_tf.training import checkpoint, click_rows
from memcom_tf.training.epoch_rows import EpochRows
from tests.data.test_prepared_rows import table, written
from tests.training.field_worker import trained


class Stopped(BaseException):
    """As a signal would end it."""


def stop_after(saves, monkeypatch):
    """Has the third checkpoint, say, be the last thing that happens."""
    save, before = checkpoint.Checkpoint.save, []

    def saved(self, state):
        save(self, state)
        before.append(state)
        if len(before) == saves:
            raise Stopped

    monkeypatch.setattr(checkpoint.Checkpoint, "save", saved)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rows in five shards."""
    folder = tmp_path_factory.mktemp("rows")
    path = written(folder, "rows.csv", table(1200))
    columns = Columns("click", ["genres", "site", "code"], ["age"], {"genres": "|"})
    return prepare_rows(path, folder / "data", columns, rows_per_shard=250).folder


@pytest.mark.parametrize(
    ("of", "saves"), [("rows", 3), ("text", 2), pytest.param("shards", 3, marks=pytest.mark.long)]
)
def test_a_resumed_training_ends_as_one_in_one_go(of, saves, data, tmp_path, monkeypatch):
    monkeypatch.setattr(click_rows, "ROWS_AT_ONCE", 300)
    given = {"task": "text" if of == "text" else "click", "data": data if of == "shards" else None}
    path = tmp_path / "training.npz"
    record, whole = trained(**given)
    with monkeypatch.context() as patch:
        stop_after(saves, patch)
        with pytest.raises(Stopped):
            trained(**given, checkpoint=path)
    for _ in range(2):  # and once more where it is finished
        resumed, model = trained(**given, checkpoint=path)
        assert resumed["epochs"] == record["epochs"]
        losses = list(record["log_loss"].values())
        np.testing.assert_allclose(list(resumed["log_loss"].values()), losses, rtol=1e-6)
        # A step is compiled anew where it is first: its last bits may be others.
        for one, two in zip(model.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "training.npz"
    trained("text", path)
    with pytest.raises(ValueError, match="must go on with the data, the model and the settings"):
        trained("click", path)


@pytest.mark.parametrize("skipped", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [2, 10])
def test_parts_of_an_epoch_are_left_out_without_another_order(skipped, count):
    def parts(skipped):
        rng, found = np.random.default_rng(3), []
        rows = EpochRows({"ids": np.arange(count)}, np.arange(count))
        for inputs, _, ends in rows.pieces(rng, 3, skipped):
            assert ends
            found.append(inputs["ids"].tolist())
        return found, rng.random()

    whole, drawn = parts(0)
    assert parts(skipped) == (whole[skipped:], drawn)


def test_rows_of_a_worker_come_in_full_batches_and_as_many_for_all(data, monkeypatch):
    from memcom_tf.data import open_rows
    from memcom_tf.training.click_rows import Teaching, TrainingRows

    monkeypatch.setattr(click_rows, "ROWS_AT_ONCE", 300)
    split = open_rows(data)
    rows = TrainingRows(split.train, split.features, Teaching(None, 0.0))
    for skipped in (0, 1):
        steps = []
        for index in range(2):
            own = rows.of_worker(index, 2, 101)
            pieces = list(own.pieces(np.random.default_rng(index), 3, skipped))
            assert own.own_batch == 50 + index
            assert all(len(targets) % own.own_batch == 0 for _, targets, _ in pieces)
            ends = np.cumsum([ends for *_, ends in pieces]) - [ends for *_, ends in pieces]
            sizes = [len(targets) // own.own_batch for _, targets, _ in pieces]
            steps.append(np.bincount(ends, sizes).tolist())
        assert steps[0] == steps[1] == [3.0, 2.0, 2.0][skipped:]
    # Where there are too few shards, all of them read all.
    assert rows.of_worker(0, 6, 101) is rows


def test_the_command_resumes_and_cleans_up(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    lines = [f"{rng.integers(0, 2)},s{rng.integers(0, 30)}" for _ in range(300)]
    (tmp_path / "rows.csv").write_text("\n".join(["click,site", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    words = ["train", "rows.csv", "--task", "click", "--label", "click", "--categorical", "site"]
    words += ["--epochs", "2"]
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(Stopped):
            main([*words, "-o", "m.keras"])
    assert "--resume goes on" in capsys.readouterr().err
    assert main([*words, "-o", "m.keras", "--resume"]) == 0
    said = capsys.readouterr().err
    assert "going on from m.keras.checkpoint" in said
    assert "after 0.667 epochs" not in said and "after 1 epochs" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras", "rows.csv"]
