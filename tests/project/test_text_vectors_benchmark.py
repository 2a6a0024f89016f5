"""What the benchmark of vectors of texts computes with; nothing here needs its data."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import text_vectors
from benchmarks.text_vectors import Films, quality, queries_and_found, report, run
from memcom_tf.training import TextVectorSettings


def films(count=40, seed=0):
    """Of two sorts, which users like one of."""
    rng = np.random.default_rng(seed)
    sorts = np.arange(count) % 2
    vectors = np.stack([sorts, 1 - sorts], axis=1) + rng.normal(0, 0.05, (count, 2))
    histories = [2 + rng.permutation(np.flatnonzero(sorts == user % 2)) for user in range(12)]
    texts = [f"{('tea', 'milk')[sort]} {number}" for number, sort in enumerate(sorts)]
    return Films(texts, vectors.astype(np.float32), np.ones(count), histories, 2)


def test_queries_know_nothing_of_what_is_held_out():
    of = films()
    held_out = np.arange(40) >= 30
    seen = []
    _, found = queries_and_found(
        of, held_out, lambda histories: seen.append(histories) or histories
    )
    (histories,) = seen
    assert set(histories.ravel().tolist()) <= {0, *range(2, 32)}
    assert found.shape == (12, 10)
    for user, of_user in enumerate(found):
        assert set(np.flatnonzero(of_user) + 32) == {*of.histories[user].tolist()} - set(range(32))


def test_quality_by_hand():
    found = np.array([[True, False, False, False], [False, True, False, True]])
    scores = np.array([[1.0, 2.0, 0.0, -1.0], [0.0, 3.0, 1.0, 2.0]])
    # One of three is above; then both are first.
    assert quality(scores, found)["AUC"] == pytest.approx((2 / 3 + 1) / 2)
    assert quality(scores, found)["nDCG@10"] == pytest.approx((1 / np.log2(3) + 1) / 2)


def test_equal_scores_are_chance():
    found = np.random.default_rng(0).random((200, 30)) < 0.2
    assert quality(np.zeros(found.shape), found)["AUC"] == 0.5
    discounts = 1 / np.log2(np.arange(2, 12))
    counts = found.sum(axis=1)
    best = np.array([discounts[:count].sum() for count in counts])
    expected = (counts / found.shape[1] * discounts.sum() / best).mean()
    assert quality(np.zeros(found.shape), found)["nDCG@10"] == pytest.approx(expected, abs=0.01)


def test_texts_tell_which_films_are_of_a_sort(monkeypatch):
    monkeypatch.setattr(
        text_vectors,
        "MODELS",
        {"small": lambda: (text_vectors.hashed_ngrams(num_buckets=200, max_ngrams=20), None)},
    )
    of = films(200)

    def query(histories):
        return np.where(histories[:, :1] % 2, [[1.0, 0.0]], [[0.0, 1.0]])

    found = run(of, query, 0, TextVectorSettings(epochs=15, learning_rate=0.02))
    assert found["small"]["AUC"] > 0.95
    assert found["small"]["cosine"] > 0.9
    assert found["the trained vectors"]["AUC"] > 0.95
    assert found["the mean vector of the others"]["AUC"] == 0.5
    lines = report([found, found]).splitlines()
    assert len(lines) == 2 + len(found)
    assert all(line.count("|") == 6 for line in lines)
