"""Trained layers and rankers for a vocabulary that has grown, or that was ordered anew."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf import FullEmbedding, HashedEmbedding, MEmComEmbedding, Vocabulary
from memcom_tf.layers import DoubleHashedEmbedding
from memcom_tf.models import NextItemRanker, extended_ranker, refreshed_ranker
from memcom_tf.ordering import extended_layer, refreshed_layer, similarity_order

WIDTH, BUCKETS, PER_BUCKET = 8, 6, 5
NAMES = [f"item {number}" for number in range(BUCKETS * PER_BUCKET)]
HISTORY = np.array([[2, 3, 0], [9, 4, 7], [0, 0, 0]], np.int32)


def topics() -> tuple[np.ndarray, np.ndarray]:
    """Vectors in few directions, of all lengths, and the number of the direction of each."""
    rng = np.random.default_rng(3)
    topic = np.tile(np.arange(BUCKETS), PER_BUCKET)
    directions = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0][:BUCKETS]
    return (directions[topic] * rng.uniform(0.5, 2, (len(topic), 1))).astype(np.float32), topic


def ordered(reserve: int = 1):
    vectors, _ = topics()
    before = Vocabulary(NAMES, counts=[3] * len(NAMES), out_of_vocabulary="share")
    order = similarity_order(vectors, BUCKETS, first_id=before.first_id, reserve=reserve)
    return before.reordered(order), order


def trained(layer):
    layer.build(None)
    rng = np.random.default_rng(4)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.3, 0.5, variable.shape))
    return layer


def trained_ranker(vocabulary: Vocabulary, **kwargs) -> NextItemRanker:
    table = MEmComEmbedding(vocabulary.input_dim, WIDTH, num_buckets=BUCKETS, bias=True)
    model = NextItemRanker(table, history_length=3, vocabulary=vocabulary, **kwargs)
    model.build((None, 3))
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.5, variable.shape))
    return model


# Later items.


@pytest.mark.parametrize("method", [MEmComEmbedding, FullEmbedding, HashedEmbedding])
@pytest.mark.parametrize("grows", [False, True])
def test_a_new_item_starts_as_the_mean_of_its_bucket(method, grows):
    before, order = ordered()
    arguments = {} if method is FullEmbedding else {"num_buckets": BUCKETS}
    layer = trained(method(before.input_dim, WIDTH, **arguments))
    after = before.with_reserve(2) if grows else before
    after = after.appended(["a", "b"], order, order.centres[[4, 1]])
    extended = extended_layer(layer, before, after)
    np.testing.assert_array_equal(extended(before.ids(NAMES)), layer(before.ids(NAMES)))
    for name, bucket in (("a", 4), ("b", 1)):
        members = [i for i in before.ids(NAMES) if i % BUCKETS == bucket]
        mean = np.asarray(layer(np.array(members))).mean(axis=0)
        np.testing.assert_allclose(extended(after.ids(name)), mean, atol=1e-6)
    assert extended.input_dim == after.input_dim


def test_items_must_keep_their_ids_where_a_layer_is_extended():
    before, _ = ordered()
    layer = trained(FullEmbedding(before.input_dim, WIDTH))
    swapped = [*before][1::-1] + [*before][2:]
    for after in (
        Vocabulary(swapped, order="similarity", num_buckets=BUCKETS, out_of_vocabulary="share"),
        Vocabulary([*before], order="similarity", num_buckets=BUCKETS),
        Vocabulary([*before, *"abcdef"], out_of_vocabulary="share"),
    ):
        with pytest.raises(ValueError, match="must keep the ids of all items"):
            extended_layer(layer, before, after)


@pytest.mark.parametrize("tied", [True, False])
def test_an_extended_ranker_scores_as_it_did(tied):
    before, order = ordered()
    output = None if tied else FullEmbedding(before.input_dim, WIDTH)
    model = trained_ranker(before, hidden_units=(5,), output_embedding=output)
    after = before.appended(["a"], order, order.centres[[2]]).with_reserve(1)
    extended = extended_ranker(model, after)
    ids = before.ids(NAMES)
    scores, expected = np.asarray(extended(HISTORY)), np.asarray(model(HISTORY))
    np.testing.assert_array_equal(scores[:, ids], expected[:, ids])
    members = [i for i in ids if i % BUCKETS == 2]
    new = int(after.ids("a"))
    np.testing.assert_allclose(scores[:, new], expected[:, members].mean(axis=1), rtol=1e-4)
    assert extended.vocabulary == after
    assert scores[:, after.free_ids].max() < -1e30
    weights = [weight for weight in extended.weights if weight.shape == (WIDTH,)]
    assert weights, "the gate of the last item was carried over"
    with pytest.raises(ValueError, match="must have a vocabulary"):
        extended_ranker(NextItemRanker(FullEmbedding(9, 4), history_length=3), after)


# Another order.


def test_a_refreshed_layer_looks_up_what_it_did_where_its_method_can():
    before, _ = ordered()
    layer = trained(FullEmbedding(before.input_dim, WIDTH))
    after = Vocabulary([*NAMES[3:], "new"])
    refreshed = refreshed_layer(layer, before, after)
    np.testing.assert_array_equal(refreshed(after.ids(NAMES[3:])), layer(before.ids(NAMES[3:])))
    np.testing.assert_array_equal(refreshed(np.array([0])), layer(np.array([0])))
    np.testing.assert_allclose(
        refreshed(after.ids("new")), np.mean(layer(before.ids(NAMES[3:])), axis=0), rtol=1e-5
    )
    with pytest.raises(ValueError, match="must have items in common"):
        refreshed_layer(layer, before, Vocabulary(["other"]))
    hashed = trained(DoubleHashedEmbedding(before.input_dim, WIDTH, num_buckets=5))
    with pytest.raises(NotImplementedError, match="must be trained"):
        refreshed_layer(hashed, before, after)


def test_an_order_that_has_drifted_is_refreshed():
    """The vectors say by now that other items belong together than those of one row do."""
    vectors, topic = topics()
    rng = np.random.default_rng(6)
    drifted = Vocabulary([NAMES[place] for place in rng.permutation(len(NAMES))])
    table = np.zeros((drifted.input_dim, WIDTH), np.float32)
    table[drifted.ids(NAMES)] = vectors
    full = FullEmbedding.from_table(table)
    in_order = [*drifted]
    order = similarity_order(np.asarray(full(drifted.ids(in_order))), BUCKETS, reserve=1)
    fresh = drifted.reordered(order)

    def error_of(layer, vocabulary):
        found = np.asarray(layer(vocabulary.ids(NAMES)))
        return np.square(found - vectors).sum() / np.square(vectors).sum()

    stale = MEmComEmbedding.from_table(table, num_buckets=BUCKETS)
    refreshed = refreshed_layer(full, drifted, fresh)
    as_memcom = MEmComEmbedding.from_table(
        np.asarray(refreshed(np.arange(fresh.input_dim))), num_buckets=BUCKETS
    )
    assert error_of(stale, drifted) > 0.3
    assert error_of(refreshed, fresh) == 0.0
    assert error_of(as_memcom, fresh) < 1e-6
    assert len({*zip(topic.tolist(), (fresh.ids(NAMES) % BUCKETS).tolist(), strict=True)}) == 6
    # Items that stay together lose nothing of a compressed table either.
    again = Vocabulary(NAMES).reordered(similarity_order(vectors, BUCKETS, seed=1))
    assert error_of(refreshed_layer(as_memcom, fresh, again), again) < 1e-6


def test_a_refreshed_ranker_scores_as_it_did_where_rows_stay_together():
    before, _ = ordered()
    model = trained_ranker(before, hidden_units=(5,))
    tables = model.item_embedding.table_values()
    model.item_embedding.assign_tables({**tables, "bias": 0 * tables["bias"]})
    vectors, _ = topics()
    order = similarity_order(vectors[::-1], BUCKETS, seed=2)
    after = Vocabulary(NAMES[::-1]).reordered(order)
    refreshed = refreshed_ranker(model, after)
    history = before.ids([["item 3", "item 8", "item 2"]])
    expected = np.asarray(model(history))[:, before.ids(NAMES)]
    history = after.ids([["item 3", "item 8", "item 2"]])
    scores = np.asarray(refreshed(history))[:, after.ids(NAMES)]
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
    assert refreshed.vocabulary == after
    assert refreshed.item_embedding.num_buckets == BUCKETS


def test_refreshing_may_change_the_number_of_buckets():
    before, _ = ordered()
    model = trained_ranker(before)
    vectors, _ = topics()
    fresh = Vocabulary(NAMES).reordered(similarity_order(vectors, 10))
    assert refreshed_ranker(model, fresh).item_embedding.num_buckets == 10
