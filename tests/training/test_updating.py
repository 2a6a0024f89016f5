"""Rankers brought up to date by a later log: ids, orders, weights and bytes."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from memcom_tf import FullEmbedding, MEmComEmbedding, Vocabulary
from memcom_tf._keras import keras
from memcom_tf.converters import convert
from memcom_tf.datasets import Interactions, Log
from memcom_tf.evaluation import evaluate_ranking, leave_last_out
from memcom_tf.layers import DoubleHashedEmbedding, ResidualQuantizedEmbedding
from memcom_tf.models import NextItemRanker, RetrievalModel
from memcom_tf.ordering import measured_order
from memcom_tf.tables import RowSharing
from memcom_tf.training import TrainingSettings, new_ranker, train, update_ranker
from memcom_tf.training.recipe import by_similarity
from memcom_tf.training.renewal import vocabulary_of

TOPICS, OF_TOPIC, LENGTH, WIDTH = 6, 7, 6, 8
SHARING = RowSharing(TOPICS, 4)
QUICK = TrainingSettings(steps=10, batch_size=64, learning_rate=3e-3)
STILL = replace(QUICK, steps=None, epochs=0)
"""Without training, where this is not what a test is about."""


def log_of(topics, seed=0, users=150, length=9):
    """Users who keep to one topic; `topics` are lists of items."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, len(topics), users)
    items = [rng.permutation(topics[t])[:length] for t in topic]
    user = np.repeat(np.arange(users), [len(taken) for taken in items])
    return Interactions(user=user, item=np.concatenate(items))


def topics_of(items):
    return [[item for item in items if item % TOPICS == topic] for topic in range(TOPICS)]


ITEMS = range(100, 100 + TOPICS * OF_TOPIC)
NEW = range(1000 * TOPICS, 1000 * TOPICS + 5)
OLD_LOG = log_of(topics_of(ITEMS))
LATER_LOG = log_of(topics_of([*ITEMS, *NEW]), seed=1)


def trained_on(log, table, sharing=None, reserve=0, settings=STILL):
    """A ranker, of an order by similarity and a reserve where there is a sharing."""
    split = leave_last_out(log, history_length=LENGTH)
    if sharing is not None:
        split = by_similarity(split, sharing, WIDTH)
        found = split.vocabulary
        counts = dict(zip(found, found.counts.tolist(), strict=True))
        slots = [*found, *[None] * reserve]
        split = split.renumbered(vocabulary_of(slots, counts, found, sharing, {}))
    model = new_ranker(split, table(split.vocabulary.input_dim))
    model.build_once()
    if settings is not STILL:
        train(model, split, settings)
    return model


def memcom(input_dim):
    return MEmComEmbedding(input_dim, WIDTH, **SHARING.arguments())


@pytest.fixture(scope="module")
def ranker():
    """Trained well, with room for a new item in every bucket."""
    return trained_on(OLD_LOG, memcom, SHARING, TOPICS, replace(QUICK, steps=300))


def scores_of(model, history):
    return np.asarray(model(np.array([history], np.int32)))[0]


def test_new_items_take_free_ids_of_buckets_that_suit_them(ranker):
    before = ranker.vocabulary
    updated = update_ranker(ranker, LATER_LOG, settings=STILL)
    after, record = updated.model.vocabulary, updated.record
    assert (record["new"], record["gone"], record["refreshed"]) == (5, 0, False)
    assert record["input_dim"] == (before.input_dim, before.input_dim)
    np.testing.assert_array_equal(after.ids(list(ITEMS)), before.ids(list(ITEMS)))
    assert set(after.ids(list(NEW))) <= set(before.free_ids.tolist())
    buckets = {}
    for item in ITEMS:
        if (id_ := int(after.ids(item))) >= SHARING.num_dedicated:
            buckets.setdefault(int(SHARING.rows_of(id_)), []).append(item % TOPICS)
    for item in NEW:
        members = buckets[int(SHARING.rows_of(after.ids(item)))]
        assert item % TOPICS == max(set(members), key=members.count)
        mean = np.mean(
            [
                updated.model.item_embedding(after.ids(other))
                for other in ITEMS
                if int(SHARING.rows_of(after.ids(other))) == int(SHARING.rows_of(after.ids(item)))
            ],
            axis=0,
        )
        found = updated.model.item_embedding(after.ids(item))
        np.testing.assert_allclose(found, mean, rtol=1e-4, atol=1e-6)
        assert scores_of(updated.model, [5, 6, 7, 0, 0, 0])[after.ids(item)] > -1e30
    assert dict(zip(after, after.counts, strict=True))[NEW[0]] > 0
    np.testing.assert_array_equal(updated.split.vocabulary.ids(list(NEW)), after.ids(list(NEW)))


def test_new_items_are_ranked_among_the_first_after_training(ranker):
    """A user of one topic sees a new item of that topic before most items of others."""
    updated = update_ranker(ranker, LATER_LOG, settings=replace(QUICK, steps=60))
    after, model = updated.model.vocabulary, updated.model
    for item in NEW:
        same = [other for other in ITEMS if other % TOPICS == item % TOPICS][:LENGTH]
        others = [other for other in ITEMS if other % TOPICS != item % TOPICS]
        scores = scores_of(model, after.ids(same))
        assert scores[after.ids(item)] > np.quantile(scores[after.ids(others)], 0.7)


def test_the_order_is_refreshed_below_the_bound_and_not_above(ranker):
    """The same items in other company: item and topic have nothing to do with the old ones."""
    shuffled = np.random.default_rng(5).permutation(list(ITEMS))
    drifted = log_of([list(part) for part in np.split(shuffled, TOPICS)], seed=2)
    settings = STILL
    stays = update_ranker(ranker, OLD_LOG, settings=settings)
    moved = update_ranker(ranker, drifted, settings=settings)
    assert stays.record["order"]["kept"] > 0.9 and not stays.record["refreshed"]
    assert moved.record["order"]["kept"] < 0.3 and moved.record["refreshed"]
    assert "was refreshed: the bound is 0.5" in moved.record["why"]
    found = stays.record["order"]["kept"]
    for bound in (found - 0.01, min(1.0, found + 0.01), 0.0):
        again = update_ranker(ranker, OLD_LOG, settings=settings, least_quality=bound)
        assert again.record["refreshed"] == (bound > found)
    unmeasured = update_ranker(ranker, drifted, settings=settings, least_quality=0)
    assert not unmeasured.record["refreshed"] and unmeasured.record["order"] is None
    after = moved.model.vocabulary
    assert after.input_dim == ranker.vocabulary.input_dim
    assert len(after.free_ids) == len(ranker.vocabulary.free_ids)
    rows = SHARING.rows_of(after.ids(list(shuffled)))
    topic = np.repeat(np.arange(TOPICS), OF_TOPIC)
    shared = rows >= SHARING.num_dedicated
    pairs = {*zip(topic[shared].tolist(), rows[shared].tolist(), strict=True)}
    assert len(pairs) < 2.5 * TOPICS  # by chance most of TOPICS**2
    assert moved.split.vocabulary == after
    assert moved.record["ndcg_before"] is not None


def test_the_order_is_refreshed_where_much_is_new(ranker):
    """Items of their old company, and as many new ones in the same company."""
    added = range(1000 * TOPICS, 1000 * TOPICS + len(ITEMS))
    log = log_of(topics_of([*ITEMS, *added]), seed=3)
    found = update_ranker(ranker, log, settings=STILL, least_quality=0.01).record
    assert found["order"]["kept"] > 0.01 and found["refreshed"]
    assert re.search(r"refreshed, since \d\d % of the interactions are with new", found["why"])
    assert not update_ranker(ranker, log, settings=STILL, least_quality=0).record["refreshed"]


def test_what_is_forgotten_makes_room_and_the_table_keeps_its_size(ranker):
    half = [item for item in ITEMS if item % 2]
    many = range(50_000, 50_000 + 15)
    later = log_of([[*half[:12], *many[:8]], [*half[12:], *many[8:]]], seed=3, length=12)
    assert {*half, *many} == set(later.item.tolist())
    updated = update_ranker(ranker, later, settings=STILL, forget=True, least_quality=0)
    before, after = ranker.vocabulary, updated.model.vocabulary
    assert set(after) == {*half, *many}
    assert updated.record["gone"] == len(ITEMS) - len(half)
    assert after.input_dim == before.input_dim
    np.testing.assert_array_equal(after.ids(half), before.ids(half))
    assert len(after.free_ids) == len(before.free_ids) + len(ITEMS) - len(half) - len(many)
    kept = update_ranker(ranker, later, settings=STILL, least_quality=0)
    assert set(kept.model.vocabulary) == {*ITEMS, *many}
    assert kept.model.vocabulary.input_dim == before.input_dim + 2 * TOPICS


def test_an_item_with_a_row_of_its_own_does_not_inherit_it(ranker):
    """Ids below `num_dedicated` are those of single items, whose rows are trained for these."""
    first = ranker.vocabulary.items([1]).item()
    topics = topics_of([item for item in [*ITEMS, *NEW] if item != first])
    later = log_of(topics, seed=1)
    updated = update_ranker(ranker, later, settings=STILL, forget=True, least_quality=0)
    after = updated.model.vocabulary
    assert after.items([1]).item() in NEW
    old = np.asarray(ranker.item_embedding(np.array([1])))[0]
    found = np.asarray(updated.model.item_embedding(np.array([1])))[0]
    cosine = found @ old / np.linalg.norm(found) / np.linalg.norm(old)
    assert cosine < 0.99


def test_a_full_table_grows_by_what_is_new_and_keeps_its_size_where_it_forgets():
    model = trained_on(OLD_LOG, lambda n: FullEmbedding(n, WIDTH))
    before = model.vocabulary
    grown = update_ranker(model, LATER_LOG, settings=STILL)
    assert grown.record["input_dim"] == (before.input_dim, before.input_dim + len(NEW))
    assert grown.record["why"] == "items do not share rows" and grown.record["order"] is None
    assert grown.model.vocabulary.order == "given"
    few = log_of(topics_of([*ITEMS[:20], *NEW]), seed=4)
    smaller = update_ranker(model, few, settings=STILL, forget=True)
    after = smaller.model.vocabulary
    assert after.input_dim == before.input_dim and set(after) == {*ITEMS[:20], *NEW}
    np.testing.assert_array_equal(after.ids(list(ITEMS[:20])), before.ids(list(ITEMS[:20])))
    scores = scores_of(smaller.model, after.ids(list(ITEMS[:LENGTH])))
    assert scores[after.free_ids].max() < -1e30
    # Free ids of the day before are taken before the table grows.
    again = update_ranker(smaller.model, LATER_LOG, settings=STILL)
    assert again.model.vocabulary.input_dim == before.input_dim + len(NEW)


def test_training_never_makes_validation_worse(ranker):
    ruinous = replace(QUICK, learning_rate=5.0, steps=5)
    updated = update_ranker(ranker, LATER_LOG, settings=ruinous)
    record = updated.record
    assert min(record["ndcg"].values()) < record["ndcg_before"]
    assert record["best"] >= record["ndcg_before"] > 0
    found = evaluate_ranking(updated.model.predict_on_batch, updated.split.validation)
    assert found["ndcg@10"] == pytest.approx(record["best"])


def test_the_rate_and_the_steps_are_a_part_of_those_from_scratch(ranker, monkeypatch):
    import memcom_tf.training.updating as module

    seen = []

    def noted(model, split, settings, **_):
        seen.append(settings)
        return {"ndcg": {0: 0.0}, "best": 0.0}

    monkeypatch.setattr(module, "train", noted)
    update_ranker(ranker, OLD_LOG)
    update_ranker(ranker, LATER_LOG)
    update_ranker(ranker, LATER_LOG, settings=TrainingSettings(epochs=3, learning_rate=0.02))
    split = leave_last_out(LATER_LOG, history_length=LENGTH)
    whole = TrainingSettings().schedule_of(module.batches_of(split, batch_size=256)).num_steps
    assert seen[0].learning_rate == 1e-3
    assert seen[0].steps == pytest.approx(whole / 10, abs=1)
    # The more is new, the more is learned from scratch.
    trained = split.vocabulary.counts
    new = trained[split.vocabulary.ids(list(NEW)) - split.vocabulary.first_id].sum()
    share = 4 * new / trained.sum()
    assert 0.1 < share < 1
    assert seen[1].steps == pytest.approx(share * whole, rel=0.05)
    assert seen[1].learning_rate == pytest.approx(1e-3 + (share - 0.1) / 0.9 * 3e-3, rel=0.05)
    assert (seen[2].epochs, seen[2].steps, seen[2].learning_rate) == (3, None, 0.02)
    assert module.share_of_steps(0.0) == 0.1 and module.share_of_steps(0.5) == 1.0


def test_the_file_keeps_its_size_where_nothing_grew(ranker):
    models = [
        ranker,
        update_ranker(ranker, OLD_LOG, settings=STILL).model,
        update_ranker(ranker, LATER_LOG, settings=STILL).model,
    ]
    assert len({model.vocabulary.input_dim for model in models}) == 1
    for weight in models[1].trainable_weights:  # as training would
        weight.assign(1.1 * weight)
    conversions = [convert(model, k=5, verify=model is models[2]) for model in models]
    assert conversions[2].verification.passed
    sizes = [conversion.report["graph_bytes"] for conversion in conversions]
    assert sizes[0] == sizes[1] >= sizes[2]  # which ids are free is in the file too


def test_the_same_seed_gives_the_same_ranker(ranker):
    shuffled = np.random.default_rng(5).permutation(list(ITEMS))
    drifted = log_of([list(part) for part in np.split(shuffled, TOPICS)], seed=2)
    first, second = (update_ranker(ranker, drifted, settings=replace(QUICK, seed=1)) for _ in "12")
    assert first.record == second.record and first.record["refreshed"]
    assert first.model.vocabulary == second.model.vocabulary
    for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_codes_are_made_anew_and_what_can_only_be_trained_is_refused():
    def codes(input_dim):
        rng = np.random.default_rng(0)
        table = rng.normal(size=(input_dim, WIDTH)).astype(np.float32)
        layer = ResidualQuantizedEmbedding.from_table(table, num_codebooks=2, num_codes=4)
        return layer

    model = trained_on(OLD_LOG, codes)
    updated = update_ranker(model, LATER_LOG, settings=STILL)
    assert "approximated" in updated.record["why"]
    assert set(updated.model.vocabulary) == {*ITEMS, *NEW}
    same = update_ranker(model, OLD_LOG, settings=STILL)
    assert "approximated" not in same.record["why"]
    np.testing.assert_array_equal(
        same.model.item_embedding(np.arange(9)), model.item_embedding(np.arange(9))
    )
    model = trained_on(OLD_LOG, lambda n: DoubleHashedEmbedding(n, WIDTH, num_buckets=9))
    with pytest.raises(ValueError, match=r"must take other ids.*method='DoubleHashedEmbedding'"):
        update_ranker(model, LATER_LOG, settings=STILL)


def test_titles_of_new_items_come_from_the_log_and_others_stay(ranker):
    titled = Interactions(
        OLD_LOG.user, OLD_LOG.item, details={"title": {item: f"Old {item}" for item in ITEMS}}
    )
    model = trained_on(titled, lambda n: FullEmbedding(n, WIDTH))
    later = Interactions(
        LATER_LOG.user,
        LATER_LOG.item.astype(str),
        details={"title": {str(NEW[0]): "New", str(ITEMS[0]): "Renamed"}},
    )
    after = update_ranker(model, later, settings=STILL).model.vocabulary
    found = after.detail("title", after.ids([NEW[0], ITEMS[0], ITEMS[1], NEW[1]])).tolist()
    assert found == ["New", "Renamed", f"Old {ITEMS[1]}", ""]


def test_a_split_and_a_log_with_a_part_for_test_are_taken_too(ranker):
    of_log = update_ranker(ranker, LATER_LOG, settings=STILL)
    split = leave_last_out(LATER_LOG, history_length=LENGTH)
    of_split = update_ranker(ranker, split, settings=STILL)
    assert of_split.record == of_log.record
    is_test = np.random.default_rng(0).random(len(LATER_LOG)) < 0.3
    held_out = update_ranker(ranker, Log(LATER_LOG, is_test), settings=STILL)
    assert not held_out.split.ordered and held_out.record["new"] == 5


def test_what_is_refused(ranker):
    nameless = NextItemRanker(FullEmbedding(9, 4), history_length=3)
    with pytest.raises(ValueError, match="must have a vocabulary"):
        update_ranker(nameless, LATER_LOG)
    with pytest.raises(TypeError, match="must be a NextItemRanker"):
        update_ranker(ranker.item_embedding, LATER_LOG)
    with pytest.raises(ValueError, match="Some items of the log must be in the vocabulary"):
        update_ranker(ranker, log_of([list(NEW)]))
    named = Interactions(LATER_LOG.user, [f"i{item}" for item in LATER_LOG.item])
    with pytest.raises(ValueError, match=r"must be int, .*Received: items=\['i"):
        update_ranker(ranker, named)
    with pytest.raises(ValueError, match=r"must have the model's `history_length`"):
        update_ranker(ranker, leave_last_out(LATER_LOG, history_length=3))
    with pytest.raises(ValueError, match=r"`least_quality` must be in \[0, 1\]"):
        update_ranker(ranker, LATER_LOG, least_quality=1.5)
    with pytest.raises(ValueError, match="There must be"):
        update_ranker(ranker, Interactions(user=[1, 2], item=[ITEMS[0], ITEMS[1]]))


def test_measuring_says_how_alike_a_bucket_is():
    vectors = np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
    sharing = RowSharing(3, 2)
    good = measured_order(vectors[1:], [2, 3, 4, 5, 6, 7], sharing)
    assert good.mean_similarity == pytest.approx(1.0) and good.share_in_nearest == 1.0
    assert good.place(vectors[:2], [8, 9, 10]).ids.tolist() == [10, 8]
    bad = measured_order(vectors[1:], [2, 3, 4, 6, 7, 5], sharing)
    assert bad.mean_similarity < 0.8
    with pytest.raises(ValueError, match="some of them of items that share a row"):
        measured_order(vectors[:1], [1], sharing)


def test_ids_of_a_vocabulary_without_a_reserve_are_made_in_whole_rounds(ranker):
    assert isinstance(ranker.vocabulary, Vocabulary)
    model = trained_on(OLD_LOG, memcom, SHARING)
    updated = update_ranker(model, LATER_LOG, settings=STILL)
    assert updated.record["input_dim"] == (
        model.vocabulary.input_dim,
        model.vocabulary.input_dim + TOPICS,
    )


def test_a_table_in_order_of_frequency_gets_an_order_by_similarity():
    model = trained_on(OLD_LOG, memcom)
    assert model.vocabulary.order == "frequency"
    updated = update_ranker(model, LATER_LOG, settings=STILL, forget=True)
    assert updated.record["refreshed"] and updated.record["order"]["kept"] < 0.5
    assert updated.model.vocabulary.sharing == SHARING
    again = update_ranker(updated.model, LATER_LOG, settings=STILL, forget=True)
    assert not again.record["refreshed"] and again.record["order"]["kept"] > 0.9


def test_a_retrieval_model_with_its_own_query_is_updated():
    split = leave_last_out(OLD_LOG, history_length=LENGTH)
    items = FullEmbedding(split.vocabulary.input_dim, WIDTH)
    history = keras.Input([LENGTH], dtype="int32", name="history")
    pooled = keras.layers.GlobalAveragePooling1D()(items(history))
    query = keras.Model(history, keras.layers.Dense(WIDTH)(pooled))
    model = RetrievalModel(query, items, vocabulary=split.vocabulary)
    updated = update_ranker(model, LATER_LOG, settings=STILL)
    after, ids = updated.model.vocabulary, np.arange(1, LENGTH + 1)[None]
    assert set(after) == {*ITEMS, *NEW}
    old, found = np.asarray(model(ids)), np.asarray(updated.model(ids))
    np.testing.assert_allclose(found[:, : old.shape[1]], old, rtol=1e-5)
