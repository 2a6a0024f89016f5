"""Ranks of targets by a ranker, counted in blocks of items."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.evaluation import Examples, rank_examples
from memcom_tf.layers import FullEmbedding, MEmComEmbedding, ProductQuantizedEmbedding
from memcom_tf.models import NextItemRanker, ranks
from memcom_tf.models.ranks import evaluate_ranker, rank_targets
from memcom_tf.seeding import seeded

ITEMS, LENGTH = 700, 6


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """A catalogue of several blocks, the last of which is not full."""
    monkeypatch.setattr(ranks, "_ITEMS", 256)
    monkeypatch.setattr(ranks, "_LEAST_ITEMS", 512)


def ranker(layer, **options):
    model = NextItemRanker(layer, history_length=LENGTH, **options)
    model.build_once()
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def examples(count=300, free_ids=(), reserved=1):
    rng = np.random.default_rng(0)
    ids = np.setdiff1d(np.arange(reserved, ITEMS), free_ids)
    drawn = np.stack([rng.choice(ids, LENGTH + 1, replace=False) for _ in range(count)])
    history = drawn[:, :LENGTH]
    history[::3, 4:] = 0
    history[1::3, 1] = history[1::3, 0]
    users = np.arange(count)
    return Examples(history, drawn[:, LENGTH], users, reserved, np.array(free_ids, np.int64))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("free_ids", [(), (5, 255, 256, 699)])
def test_ranks_are_those_of_all_scores(bias, free_ids):
    with seeded(1):
        model = ranker(FullEmbedding(ITEMS, 8), item_bias=bias, query_bias=True)
    given = examples(free_ids=free_ids, reserved=2)
    expected = rank_examples(model.predict_on_batch, given)
    np.testing.assert_array_equal(rank_targets(model, given, score=refused), expected)
    assert 1 <= expected.min() < 20 and expected.max() > 400


def refused(inputs):
    raise AssertionError("all items are scored at once")


def test_items_of_equal_vectors_tie():
    model = ranker(FullEmbedding(ITEMS, 8), item_bias=False)
    table = model.item_embedding
    vectors = table.table_values()["embeddings"]
    table.assign_tables({"embeddings": np.tile(vectors[:7], (100, 1))})
    given = examples()
    expected = rank_examples(model.predict_on_batch, given)
    np.testing.assert_array_equal(rank_targets(model, given, score=refused), expected)
    # A hundred items have the score of a target, and count against it.
    assert (expected >= 94).all()


def test_what_is_seen_beside_the_history_is_left_out():
    model = ranker(FullEmbedding(ITEMS, 8))
    given = examples(20)
    seen = np.stack([np.setdiff1d(np.arange(ITEMS), [target])[:400] for target in given.target])
    given = Examples(given.history, given.target, given.user, seen=seen)
    found = rank_targets(model, given, score=refused)
    np.testing.assert_array_equal(found, rank_examples(model.predict_on_batch, given))
    assert found.max() <= 300


def test_methods_decide_how_a_catalogue_is_scored():
    given = examples(30)
    shared = ranker(MEmComEmbedding(ITEMS, 8, num_buckets=20))
    with pytest.raises(AssertionError, match="at once"):
        rank_targets(shared, given, score=refused)
    np.testing.assert_array_equal(
        rank_targets(shared, given), rank_examples(shared.predict_on_batch, given)
    )
    several = Examples(given.history, np.stack([given.target, 0 * given.target], 1), given.user)
    full = ranker(FullEmbedding(ITEMS, 8))
    assert rank_targets(full, several).shape == (30, 2)


def test_codes_are_looked_up_once():
    with seeded(1):
        model = NextItemRanker(
            ProductQuantizedEmbedding(ITEMS, 8, num_codebooks=4), history_length=LENGTH
        )
        model.build_once()
    given = examples(40)
    expected = rank_examples(model.predict_on_batch, given)
    np.testing.assert_array_equal(rank_targets(model, given, score=refused), expected)


def test_what_cannot_be_ranked_is_refused():
    model = ranker(FullEmbedding(ITEMS, 8))
    given = examples(5)
    with pytest.raises(ValueError, match="A target must not be in its history"):
        rank_targets(model, Examples(given.history, given.history[:, 0], given.user))
    with pytest.raises(ValueError, match="There must be examples"):
        rank_targets(model, given[:0])
    values = model.item_embedding.table_values()
    values["embeddings"][3, 2] = np.nan
    model.item_embedding.assign_tables(values)
    with pytest.raises(ValueError, match="must not be NaN"):
        evaluate_ranker(model, given)
