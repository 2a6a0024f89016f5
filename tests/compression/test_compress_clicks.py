"""Click models compressed to a budget of bytes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from memcom_tf.compression import ClickCompression, clicks, compress, compress_clicks
from memcom_tf.compression.click_methods import STUDENTS
from memcom_tf.compression.click_options import Measured, Option, best_within
from memcom_tf.converters import convert
from memcom_tf.datasets import Rows
from memcom_tf.evaluation import click_metrics, split_rows
from memcom_tf.layers import QuotientRemainderEmbedding
from memcom_tf.models import ClickModel
from memcom_tf.training import ClickSettings, train_click_model

WIDTH = 8
SETTINGS = ClickSettings(epochs=1, evaluations=1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def split():
    """Half of the sites are clicked often, and of `noise` nothing follows."""
    rng = np.random.default_rng(0)
    site, noise = rng.zipf(1.2, (2, 4000)) % 900
    return split_rows(
        Rows.of(
            {"site": site, "noise": noise, "device": rng.integers(0, 4, 4000)},
            label=rng.random(4000) < np.where(site % 2, 0.8, 0.2),
        )
    )


@pytest.fixture(scope="module")
def model(split):
    settings = ClickSettings(epochs=4, batch_size=64, learning_rate=3e-3)
    return train_click_model(split, width=WIDTH, min_count=1, settings=settings).model


@pytest.fixture(scope="module")
def compression(model, split):
    return compress_clicks(model, split, ratio=4, min_rows=100, settings=SETTINGS)


def test_the_file_has_the_size_and_the_model_its_quality(model, split, compression):
    converted = convert(compression.model, samples=compression.samples)
    assert converted.verification.passed
    size = converted.report["graph_bytes"]
    limit = convert(model, weights="float32", verify=False).report["graph_bytes"] / 4
    assert size == compression.file_bytes
    assert 0.8 * limit < size <= limit
    original, before, after = compression.log_loss
    assert after <= before
    assert after < original + 0.01
    found = click_metrics(
        compression.model.predict(model.features.encode(split.test), verbose=0),
        split.test.labels,
    )
    assert found["AUC"] > 0.7


def test_a_table_of_which_nothing_follows_gets_fewer_bytes(compression):
    bytes_of = {choice.name: choice.chosen.bytes for choice in compression.tables}
    assert list(bytes_of) == ["site", "noise"]  # device is small
    assert bytes_of["noise"] < bytes_of["site"]
    for choice in compression.tables:
        if choice.rejected is not None:
            assert choice.rejected.bytes > choice.chosen.bytes
            assert choice.rejected.loss < choice.chosen.loss
    assert "rows:" in str(compression)


@pytest.mark.long
def test_the_model_itself_does_not_change(model, split):
    before = [np.array(weight) for weight in model.get_weights()]
    found = compress(model, split, max_bytes=22_000, min_rows=100, settings=SETTINGS)
    assert isinstance(found, ClickCompression)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, old)


@pytest.mark.parametrize(
    ("size", "must"),
    [
        ({}, "Either"),
        ({"ratio": 2, "max_bytes": 9000}, "Either"),
        ({"ratio": 0.5}, "1 or more"),
        ({"max_bytes": 3000}, "leave room"),
    ],
)
def test_a_size_must_be_one_that_can_be(model, split, size, must):
    with pytest.raises(ValueError, match=must):
        compress_clicks(model, split, min_rows=100, settings=SETTINGS, **size)


def test_other_methods_make_further_models_and_the_best_one_is_kept(model, split, monkeypatch):
    monkeypatch.setattr(clicks, "_ROWS_OF_A_METHOD", 100)
    lines = []
    found = compress_clicks(
        model, split, ratio=2, min_rows=100, settings=SETTINGS, report=lines.append
    )
    losses = {
        line.partition(":")[0]: float(line.split()[-1])
        for line in lines
        if ": log loss on validation" in line
    }
    assert list(losses) == ["a way for each table", "partitions", "tensor trains"]
    assert found.log_loss[-1] == pytest.approx(min(losses.values()), abs=1e-4)
    assert all(choice.chosen.bytes > 0 for choice in found.tables)
    # That time is over before the second one.
    lines.clear()
    compress_clicks(
        model,
        split,
        ratio=4,
        min_rows=100,
        settings=SETTINGS,
        max_minutes=0.001,
        report=lines.append,
    )
    assert not any(line.startswith("partitions:") for line in lines)
    assert lines[-1].startswith("Candidates were left out")


def test_a_table_too_small_for_partitions_is_told_with_its_bytes(model, split, monkeypatch):
    rows = model.features.tables
    smaller, larger = sorted(("site", "noise"), key=rows.get)
    assert rows[smaller] < rows[larger]
    monkeypatch.setattr(clicks, "_ROWS_OF_A_METHOD", rows[larger])
    work = clicks._Work(model, split, 100, 0)
    options = {name: work.options(name, lambda line: None) for name in work.names}
    limit = work.file_bytes(model, "float32") // 3
    assert work.fitting(options, limit) is not None
    partitions, trains = STUDENTS
    found = work.of_method(partitions, limit)
    assert found.file_bytes <= limit
    assert found.chosen[larger].candidate.method is QuotientRemainderEmbedding
    kept = found.chosen[smaller]
    assert kept.candidate is None
    assert kept.bytes == rows[smaller] * (WIDTH + 4)  # 8 bits, and a scale for each row
    assert 0 < kept.loss < found.chosen[larger].loss
    assert work.of_method(trains, limit) is None  # its graph alone is larger
    found = work.of_method(trains, 2 * limit)
    assert limit < found.file_bytes <= 2 * limit
    assert found.chosen[smaller] == kept
    choice = clicks.TableChoice(larger, rows[larger], found.chosen[larger], None)
    assert re.search(r"TensorTrainEmbedding\(rank=\d+\), [\d,]+ bytes, trained anew", str(choice))


def test_losses_are_measured_beside_partitions_that_are_features(model, split):
    from memcom_tf.layers import CompositionalEmbedding, FullEmbedding

    arguments = {"num_buckets": 30, "num_partitions": 2, "operation": "concat"}
    rows = model.features.tables["site"]
    layer = CompositionalEmbedding(rows, 2 * WIDTH, name="table_site", **arguments)
    generated = ClickModel(model.features, width=WIDTH, tables={"site": layer})
    generated.build_once()
    measured = Measured(generated, model.features.encode(split.validation))
    same = generated.joint.table_values()["embeddings"][generated.rows_of("noise")]
    assert measured.rise("noise", FullEmbedding.from_table(same)) == pytest.approx(0, abs=1e-9)
    assert measured.rise("noise", FullEmbedding.from_table(same + 1)) > 1e-3


def test_with_tables_keeps_all_else(model, split):
    inputs = model.features.encode(split.test)
    rows = model.rows_of("site")
    table = model.joint.table_values()["embeddings"][rows]
    from memcom_tf.layers import FullEmbedding

    layer = FullEmbedding.from_table(table, name="table_site")
    apart = model.with_tables({"site": layer})
    assert isinstance(apart, ClickModel)
    assert list(apart.full_tables) == [name for name in model.full_tables if name != "site"]
    np.testing.assert_allclose(
        apart.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-6
    )


def test_the_best_ways_are_found():
    """By trying all of them."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        options = {
            name: [
                Option(None, int(size), float(loss))
                for size, loss in zip(
                    np.sort(rng.integers(1, 100, 4)), np.sort(rng.random(4))[::-1], strict=True
                )
            ]
            for name in "abc"
        }
        room = int(rng.integers(60, 250))
        found = best_within(options, room)
        every = [
            (a.bytes + b.bytes + c.bytes, a.loss + b.loss + c.loss)
            for a in options["a"]
            for b in options["b"]
            for c in options["c"]
        ]
        fitting = [loss for size, loss in every if size <= room]
        if found is None:
            assert not fitting
            continue
        assert sum(way.bytes for way in found.values()) <= room
        loss = sum(way.loss for way in found.values())
        # A price finds those on the lower hull: no other of as few bytes is better.
        bytes_taken = sum(way.bytes for way in found.values())
        assert loss <= min(lost for size, lost in every if size <= bytes_taken) + 1e-9
