"""What is said of how far a command is, on a terminal and elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf import FullEmbedding, HashedEmbedding, progress
from memcom_tf.cli.main import main
from memcom_tf.compression import compress
from memcom_tf.compression.candidates import Candidate
from memcom_tf.datasets import Documents, Rows, made_up_dishes
from memcom_tf.evaluation import leave_last_out, split_documents, split_rows
from memcom_tf.features import fit_features, fit_text
from memcom_tf.models import ClickModel, TextClassifier
from memcom_tf.progress import Progress, counted, current, doing, progress_bar
from memcom_tf.training import ClickSettings, TextSettings, TrainingSettings
from memcom_tf.training.recipe import new_ranker
from memcom_tf.training.streaming import batches_of


@pytest.fixture
def shown():
    """What a bar would show of the work of a test."""
    found = []
    with progress._as_current(Progress(None, lambda place, done: found.append((place, done)))):
        yield found
    done = [share for _, share in found]
    assert done == sorted(done)


def places(shown):
    return list(dict.fromkeys(place for place, _ in shown))


def ranker_and_split():
    split = leave_last_out(made_up_dishes(num_users=60), history_length=10)
    model = new_ranker(split, width=16)
    model.build_once()
    return model, split


def clicks_and_split():
    rng = np.random.default_rng(0)
    site = rng.integers(0, 1_200, 6_000)
    rows = Rows.of({"site": site}, label=rng.random(6_000) < np.where(site % 2, 0.9, 0.1))
    split = split_rows(rows)
    model = ClickModel(fit_features(split.train), width=8)
    model.build_once()
    return model, split


def texts_and_split():
    words = [f"w{number}" for number in range(300)]
    drawn = np.random.default_rng(0).integers(0, 300, (400, 5))
    texts = [" ".join(words[word] for word in row) for row in drawn]
    split = split_documents(Documents.of(texts, label=["even", "odd"] * 200))
    features = fit_text(split.train.text.array().tolist(), name=split.train.name)
    model = TextClassifier(features, split.classes, width=16)
    model.build_once()
    return model, split


def test_candidates_of_a_ranker_are_counted_and_then_the_steps_of_each_training(shown):
    model, split = ranker_and_split()
    tried = [Candidate(HashedEmbedding, {"num_buckets": 90}), Candidate(FullEmbedding)]
    settings = TrainingSettings(epochs=1)
    compress(model, split, ratio=1, settings=settings, candidates=tried, finalists=1)
    steps = len(batches_of(split, batch_size=settings.batch_size))
    assert steps > 1
    found = [place for place in places(shown) if ": step 1 of" not in place]
    assert found[:4] == [
        "measuring the original",
        "candidate 1 of 2",
        "candidate 2 of 2",
        "training 1 of 1",
    ]
    assert (f"training 1 of 1: step {steps} of {steps}", 1.0) in shown


def test_tables_of_a_click_model_are_counted_and_then_the_trainings(shown):
    model, split = clicks_and_split()
    settings = ClickSettings(epochs=1, evaluations=1)
    compress(model, split, ratio=4, settings=settings)
    found = places(shown)
    steps = -(-len(split.train) // settings.batch_size)
    assert "table 1 of 1" in found
    assert f"training 1 of 2: step {steps} of {steps}" in found
    assert f"training 2 of 2: step {steps} of {steps}" in found


def test_candidates_of_a_text_classifier_are_counted_and_then_the_trainings(shown):
    model, split = texts_and_split()
    settings = TextSettings(epochs=2)
    compress(model, split, ratio=3, settings=settings)
    found = places(shown)
    steps = 2 * -(-len(split.train) // settings.batch_of(len(split.train)))
    assert any(place.startswith("candidate 2 of ") for place in found)
    assert any(place.endswith(f": step {steps} of {steps}") for place in found), found


def test_tables_of_any_model_are_counted(shown):
    model, _ = ranker_and_split()
    compress(model, max_bytes=30_000)
    found = places(shown)
    assert found[:2] == ["measuring the original", "attempt 1 of 6"]
    assert any(
        place.startswith("attempt 1 of 6: table ") and ": candidate 1 of" in place
        for place in found
    )


def test_a_command_says_what_is_left_on_stderr_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    log = made_up_dishes(num_users=60)
    rows = [f"{u},{i},{t}" for u, i, t in zip(log.user, log.item, log.time, strict=True)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    train = "train log.csv -o m.keras --epochs 1 --width 16 --json"
    assert main(train.split()) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["output"] == "m.keras"
    assert "memcom: epoch 1 of 1: on validation ndcg@10 0." in error
    compress = "compress m.keras log.csv -o s.tflite --max-bytes 60kB --epochs 1 --json"
    assert main(compress.split()) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["output"] == "s.tflite"
    lines = error.splitlines()
    # Too little is done to say what is left.
    first = [line for line in lines if line.startswith("memcom: candidate 1 of ")]
    assert first and all(line.endswith(" s so far") for line in first), error
    assert any(
        line.startswith("memcom: training 1 of ") and line.endswith(" s left") for line in lines
    ), error


def test_lines_are_half_a_minute_apart_and_forecast_from_what_is_done():
    said, seconds = [], [0.0]
    work = Progress(said.append, first=10, clock=lambda: seconds[0])
    with progress._as_current(work):
        for _ in counted(range(4), "candidate", 0.0, 0.5):
            for _ in range(20):
                work.at("writing")
                seconds[0] += 1
    assert said == [
        "candidate 1 of 4: writing, 10 s so far",
        "candidate 3 of 4, about 2 min left",
        "candidate 4 of 4: writing, about 2 min left",
    ]
    assert work.done == 0.5 and work.within == ""


def test_a_bar_within_a_work_is_a_part_of_it(shown):
    with progress_bar(True) as advance:
        advance("clustering", 0.25)
    for _ in counted(range(2), "candidate"):
        with progress_bar(True) as advance:
            advance("clustering", 1.0)
    assert places(shown) == ["clustering", "candidate 1 of 2", "candidate 2 of 2"]
    assert [done for _, done in shown] == [0.25, 0.25, 0.5]
    assert current().done == 1.0


def test_candidates_that_are_not_tried_end_with_the_loop(shown):
    for number in counted(range(5), "candidate", 0.0, 0.4):
        if number == 1:
            break
    with doing("after"):
        assert shown[-1] == ("after", 0.4 * 2 / 5)
