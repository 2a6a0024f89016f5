"""The benchmark of click models: what it reads, runs, keeps and says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.click import __main__ as click
from benchmarks.click import report as click_report
from benchmarks.click.data import load
from benchmarks.click.logistic import best_on_validation, one_hot
from benchmarks.click.methods import LOGISTIC, contenders
from benchmarks.click.outcome import resampled
from memcom_tf.datasets import Rows
from memcom_tf.evaluation import split_rows
from memcom_tf.features import fit_features

COUNT = 900


def matrices() -> dict[str, np.ndarray]:
    """Sites of odd numbers are clicked, and of the numbers some are missing."""
    rng = np.random.default_rng(0)
    site, other = rng.integers(0, 40, COUNT), rng.integers(1, 5, COUNT)
    number = np.where(rng.random(COUNT) < 0.1, -1000, rng.integers(0, 9, COUNT))
    label = rng.random(COUNT) < np.where(site % 2, 0.9, 0.1)
    return {
        "cat": np.stack([site, other], axis=1).astype(np.int32),
        "dense": number[:, None].astype(np.int32),
        "label": label.astype(np.uint8),
    }


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "clicks.npz"
    np.savez(path, **matrices())
    return path


@pytest.fixture
def run(source, tmp_path):
    def run(*arguments: str) -> tuple[list[dict], str]:
        out = tmp_path / "out.jsonl"
        options = ["--quick", "--width", "8", "--min-rows", "20", "--ratios", "2", "4"]
        status = click.main(["--data", str(source), *options, "--json", str(out), *arguments])
        assert status == 0
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        return rows, (tmp_path / "out.md").read_text()

    return run


def test_matrices_and_columns_are_the_same_rows(source, tmp_path):
    found = load(source)
    columns = matrices()
    lines = ["click,C1,C2,I1"]
    for (site, other), (number,), label in zip(*columns.values(), strict=True):
        lines.append(f"{label},{site or ''},{other},{'' if number == -1000 else number}")
    (tmp_path / "clicks.csv").write_text("\n".join(lines))
    (tmp_path / "columns.toml").write_text(
        'label = "click"\ncategorical = ["C1", "C2"]\nnumeric = ["I1"]\n'
    )
    columns_of = click.Columns.from_toml(tmp_path / "columns.toml")
    other = load(tmp_path / "clicks.csv", columns_of)
    assert other.split.train.categorical["C1"].array().tolist() == (
        found.split.train.categorical["C1"].array().tolist()
    )
    np.testing.assert_array_equal(other.split.test.numeric["I1"], found.split.test.numeric["I1"])
    assert other.split.validation.labels.tolist() == found.split.validation.labels.tolist()
    assert len(found.split.test) == COUNT / 10 == len(found.split.validation)
    last = load(source, by_time=True, test=0.2)
    assert last.split.test.labels.tolist() == matrices()["label"][-180:].astype(bool).tolist()
    assert last.fingerprint != found.fingerprint
    assert load(source, by_time=True, most=600).split.test.time[-1] == 599


@pytest.mark.long
def test_a_run_is_kept_and_not_repeated(run, monkeypatch):
    methods = ["--methods", LOGISTIC, "full", "full int8", "MLET"]
    rows, text = run(*methods)
    assert [(row["method"], row["ratio"], row["seed"]) for row in rows] == [
        (LOGISTIC, None, None),
        ("full", None, 0),
        ("full int8", None, 0),
        ("MLET", 4, 0),
    ]
    assert all(row["reachable"] for row in rows)
    full, int8, mlet = rows[1:]
    assert full["bytes"] == pytest.approx(full["full_bytes"], rel=0.01)
    assert int8["bytes"] < full["bytes"]
    for row in (full, int8, mlet):
        assert row["whole_bytes"] > row["bytes"]
        assert row["file_and_model_differ"] < 0.01
        assert 0.4 < row["test"]["AUC"] <= 1
    assert mlet["chosen"].startswith("MultiLayerEmbedding, 4x")
    assert "A quick run" in text
    assert "- Ratio 4: " in text
    for name in methods[1:]:
        assert f"| {name} |" in text

    monkeypatch.setattr(click, "run", lambda *_: pytest.fail("repeated"))
    monkeypatch.setattr(click, "run_logistic", lambda *_: pytest.fail("repeated"))
    again, same = run(*methods)
    assert again == rows
    assert same.split("## Which")[0] == text.split("## Which")[0]


@pytest.mark.long
def test_what_cannot_be_as_small_is_said(run):
    rows, text = run("--methods", "compress", "--ratios", "1", "5000")
    assert [row["reachable"] for row in rows] == [False]
    assert "| compress | 5000 | not reachable |" in text
    assert "- Ratio 5000: no method reaches it." in text


def test_a_failed_run_is_told_and_not_kept(run, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(click, "run", fail)
    with pytest.raises(AssertionError, match="1 == 0"):
        run("--methods", "full")
    assert "no such thing" in capsys.readouterr().err


def test_methods_that_were_asked_for_are_there():
    assert set(contenders()) == {
        "full", "full int8", "narrow", "hashing", "QR", "k-ary", "MLET", "MEmCom", "low rank",
        "tensor train", "residual codes", "compress", "hashing taught", "QR taught", "MLET taught",
    }  # fmt: skip


def test_differences_are_paired():
    """Noise that two predictions share is not in their difference."""
    rng = np.random.default_rng(0)
    labels = rng.random(2000) < 0.3
    one = np.clip(0.1 * labels + 0.2 + 0.3 * rng.random(2000), 0, 1)
    other = np.clip(one + 1e-4 * rng.normal(size=2000), 0, 1)

    def row(method, probabilities):
        metrics = click_report.Row(AUC=0.8, **{"log loss": 0.4})
        return {
            "method": method, "ratio": None, "seed": 0, "reachable": True, "test": metrics,
            "resampled": resampled(probabilities, labels),
        }  # fmt: skip

    groups = [click_report.Group([row(n, p)]) for n, p in (("full", one), ("other", other))]
    mean, least, most = groups[1].above(groups[0], "AUC")
    assert mean == 0
    alone = np.percentile(groups[0].rows[0]["resampled"]["AUC"], click_report._OUTSIDE)
    assert 0 < most - least < 0.05 * (alone[1] - alone[0])


def test_the_baseline_sees_every_value():
    rows = Rows.of(
        {"site": ["a", "b", None, "a"], "genres": ["x|y", "", "y", "x"]},
        {"age": [1.0, None, 3.0, 5.0]},
        several={"genres": "|"},
    )
    features = fit_features(rows, min_count=1)
    ones = one_hot(features, rows).toarray()
    site, genres = (of.input_dim for of in features.categorical)
    assert ones[:, :site].sum(axis=1).tolist() == [1, 1, 1, 1]
    assert ones[2, 0] == 1  # missing is a value
    assert ones[:, site : site + genres].sum(axis=1).tolist() == [2, 0, 1, 1]
    assert ones.shape[1] == site + genres + 2 + features.numeric[0].input_dim
    clicks = np.arange(400) % 2
    split = split_rows(Rows.of({"site": np.arange(400) % 20}, label=clicks))
    found, of_test, chosen = best_on_validation(split)
    assert (found > 0.5).tolist() == split.validation.labels.tolist()
    assert (of_test > 0.5).tolist() == split.test.labels.tolist()
    assert chosen.startswith("C=3")
