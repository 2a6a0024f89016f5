"""Training of rankers: what a step sees, what it learns, what it must not see."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import keras
from memcom_tf.datasets import Interactions
from memcom_tf.evaluation import hold_out, leave_last_out
from memcom_tf.layers import FullEmbedding, ResidualQuantizedEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.models.negatives import NegativeSampler
from memcom_tf.models.softmax import cross_entropy
from memcom_tf.training import (
    DistilledRanker,
    TrainingBatches,
    TrainingSettings,
    new_ranker,
    train,
    train_ranker,
)

KINDS, OF_A_KIND = 6, 8


def log_of_kinds(users=150, length=9, seed=0):
    """Every user takes items of one kind; items 0..47, those of a kind next to each other."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, KINDS, users)
    items = np.stack([rng.permutation(OF_A_KIND)[: length - 1] for _ in range(users)])
    items = kind[:, None] * OF_A_KIND + items
    return Interactions(user=np.repeat(np.arange(users), length - 1), item=items.ravel())


QUICK = TrainingSettings(epochs=4, evaluate_every=1, learning_rate=0.02, batch_size=32, k=5)


@pytest.fixture(scope="module")
def sequences():
    return leave_last_out(log_of_kinds(), history_length=6)


@pytest.fixture(scope="module")
def sets():
    log = log_of_kinds()
    return hold_out(log, np.random.default_rng(1).random(len(log)) < 0.25, history_length=6)


def test_an_epoch_of_sequences_has_every_example_once(sequences):
    batches = TrainingBatches(sequences, batch_size=50)
    seen = [np.c_[history, target] for history, target in batches.epoch()]
    assert len(seen) == len(batches) == len(sequences.train) // 50
    rows = {tuple(row) for batch in seen for row in batch.tolist()}
    train = np.c_[sequences.train.history, sequences.train.target].tolist()
    assert rows <= {tuple(row) for row in train}
    again = [np.c_[history, target] for history, target in batches.epoch()]
    assert any((one != other).any() for one, other in zip(seen, again, strict=True))


def test_sets_are_cut_anew_and_hold_nothing_held_out(sets):
    batches = TrainingBatches(sets, batch_size=40, seed=3)
    log = sets.train_interactions
    ids = sets.vocabulary.ids(log.item)
    rows_by_user = [frozenset(ids[log.user == user].tolist()) for user in np.unique(log.user)]
    first, second = ([*batches.epoch()] for _ in range(2))
    for history, target in first + second:
        for h, t in zip(history, target, strict=True):
            h, t = {*h[h > 0].tolist()}, {*t[t > 0].tolist()}
            assert t and h and not h & t
            assert any(h | t <= items for items in rows_by_user)
    assert any((a[1] != b[1]).any() for a, b in zip(first, second, strict=True))
    repeated = [*TrainingBatches(sets, batch_size=40, seed=3).epoch()]
    np.testing.assert_array_equal(repeated[0][0], first[0][0])


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["sequences", "sets"])
def test_training_learns_kinds(kind, request):
    split = request.getfixturevalue(kind)
    model = new_ranker(split, width=8)
    record = train(model, split, replace(QUICK, epochs=10))
    before = record["ndcg"][0]
    assert record["best"] == record["ndcg"][record["epoch"]] == max(record["ndcg"].values())
    assert record["best"] > before + 0.1 and record["way"] == 1


@pytest.mark.long
def test_the_weights_that_came_are_a_candidate(sequences):
    model = new_ranker(sequences, width=8)
    train(model, sequences, QUICK)
    weights = [np.array(weight) for weight in model.get_weights()]
    with pytest.warns(RuntimeWarning, match="must not diverge.*weights of epoch 0 are kept"):
        record = train(model, sequences, replace(QUICK, learning_rate=1e20, epochs=2))
    assert record["epoch"] == 0
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.few(1)
@pytest.mark.parametrize("split_of", [leave_last_out, None], ids=["sequences", "sets"])
def test_the_test_part_changes_nothing(split_of):
    """Other test items, same everything: order, counts, chosen epoch and weights."""
    log = log_of_kinds(users=60)
    last = np.r_[log.user[1:] != log.user[:-1], True]
    flags = np.random.default_rng(2).random(len(log)) < 0.3
    coin = np.random.default_rng(0).random(len(log)) < 0.5
    of_test = last if split_of else flags & ~coin
    other = log.item.copy()
    # Items that the user does not have, from the same catalogue.
    other[of_test] = (other[of_test] + OF_A_KIND) % (KINDS * OF_A_KIND)
    changed = Interactions(user=log.user, item=other)
    outcomes = []
    for data in (log, changed):
        split = split_of(data, history_length=6) if split_of else hold_out(data, flags)
        trained = train_ranker(split, width=6, ratio=2, settings=replace(QUICK, epochs=2))
        outcomes.append((trained, split))
    (one, split), (two, other_split) = outcomes
    assert (split.test.target.shape != other_split.test.target.shape) or (
        split.test.target != other_split.test.target
    ).any()
    assert one.model.vocabulary == two.model.vocabulary
    assert one.record == two.record
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.few(1)
@pytest.mark.parametrize("has_teacher", [True, False])
def test_weights_between_start_and_end_are_candidates_after_a_teacher(
    has_teacher, sequences, monkeypatch
):
    """Floats are on the way; codes, which are not trained, are what they are."""
    teacher = new_ranker(sequences, width=8)
    codes = ResidualQuantizedEmbedding(sequences.vocabulary.input_dim, 8, num_codebooks=2)
    student = new_ranker(sequences, codes)
    found = iter([0.3, 0.2, 0.1, 0.5, 0.4])  # start, end, and three ways
    seen = []

    def evaluate(ranker, examples, *, k, score):
        seen.append([np.array(weight) for weight in student.get_weights()])
        return {f"ndcg@{k}": next(found)}

    judging = import_module("memcom_tf.training.best_epoch")
    monkeypatch.setattr(judging, "evaluate_ranker", evaluate)
    settings = replace(QUICK, epochs=1, evaluate_every=1)
    record = train(student, sequences, settings, teacher=teacher if has_teacher else None)
    assert record["ndcg"] == {0: 0.3, 1: 0.2}
    start, end = seen[:2]
    assert any((a != b).any() for a, b in zip(start, end, strict=True))
    if has_teacher:
        assert (record["best"], record["epoch"], record["way"]) == (0.5, 1, 0.5)
        pairs = zip(start, end, strict=True)
        expected = [a if a.dtype == np.uint8 else (a + b) / 2 for a, b in pairs]
    else:
        assert (record["best"], record["epoch"], record["way"]) == (0.3, 0, 1.0)
        expected = start
    assert any(weight.dtype == np.uint8 for weight in expected)
    for kept, wanted in zip(student.get_weights(), expected, strict=True):
        np.testing.assert_allclose(kept, wanted, rtol=1e-6, atol=1e-7)


def test_a_student_learns_from_its_teacher_alone(sequences):
    teacher = new_ranker(sequences, width=8)
    train(teacher, sequences, replace(QUICK, epochs=8))
    frozen = [np.array(weight) for weight in teacher.get_weights()]
    keras.utils.set_random_seed(5)
    student = new_ranker(sequences, width=8)
    history = sequences.validation.history
    wanted = tf.nn.softmax(teacher(history)).numpy()

    def distance():
        return np.abs(tf.nn.softmax(student(history)).numpy() - wanted).sum(axis=1).mean()

    before = distance()
    settings = replace(QUICK, epochs=10, distillation=1.0, weight_decay=0.0)
    train(student, sequences, settings, teacher=teacher)
    assert distance() < before / 2
    for old, new in zip(frozen, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_sampled_softmax_estimates_the_whole(sequences):
    """With popular items drawn more often too, as each logit is corrected for it."""
    model = new_ranker(sequences, width=8)
    train(model, sequences, QUICK)
    history, target = sequences.train.history[:64], sequences.train.target[:64, None]
    everything = cross_entropy(model.candidate_logits(history, target, None), target, None)
    model.num_negatives = 30
    keras.utils.set_random_seed(0)
    estimates = []
    for _ in range(30):
        negatives = model.draw_negatives()
        logits = model.candidate_logits(history, target, negatives)
        estimates.append(float(cross_entropy(logits, target, negatives)))
    # Padding, id 0, is among all logits and never drawn.
    assert np.mean(estimates) == pytest.approx(float(everything), abs=0.1)


def test_a_step_may_look_distinct_ids_up_once():
    storage = {"codebooks": "int4_per_row"}
    layer = ResidualQuantizedEmbedding(50, 8, num_codebooks=3, num_codes=7, storage=storage)
    ranker = NextItemRanker(layer, history_length=4, num_negatives=20)
    ranker.build_once()
    history, target = np.array([[1, 2, 2, 0], [7, 1, 0, 0]]), np.array([[3, 3], [2, 0]])
    negatives = ranker.draw_negatives()

    def step(distinct):
        with tf.GradientTape() as tape:
            logits = ranker.candidate_logits(history, target, negatives, distinct=distinct)
            loss = cross_entropy(logits, tf.constant(target), negatives)
        variables = ranker.trainable_variables
        return logits, [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]

    (plain, gradients), (once, others) = step(False), step(True)
    np.testing.assert_allclose(once, plain, rtol=1e-5, atol=1e-6)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(other, gradient, rtol=1e-4, atol=1e-6)
    assert np.abs(gradients[0]).max() > 0


def test_tables_are_rounded_anew_after_a_step():
    layer = FullEmbedding(6, 4, storage={"embeddings": "int4_per_row"})
    layer.build(None)
    before = np.asarray(layer(np.arange(6)))
    with layer.rounded_once():
        np.testing.assert_array_equal(layer(np.arange(6)), before)
    layer.assign_tables({"embeddings": 3 * layer.table_values()["embeddings"]})
    np.testing.assert_allclose(layer(np.arange(6)), 3 * before, rtol=1e-5)


@pytest.mark.long
def test_negatives_are_drawn_by_popularity_and_count_once():
    counts = np.array([0, 1000, 1, 1, 1, 0, 1, 1])
    sampler = NegativeSampler(8, counts=counts, free_ids=[5])
    keras.utils.set_random_seed(1)
    drawn = [np.asarray(sampler(3).ids) for _ in range(400)]
    assert not {0, 5} & {*np.concatenate(drawn).tolist()}
    often = np.mean([1 in ids for ids in drawn])
    found = sampler(3)
    for _ in range(50):
        if 1 in np.asarray(found.ids):
            break
        found = sampler(3)
    place = int(np.argmax(np.asarray(found.ids) == 1))
    assert np.exp(float(found.log_probability[place])) == pytest.approx(often, abs=0.08)
    twice = sampler(200)
    ids, weight = np.asarray(twice.ids), np.asarray(twice.log_probability)
    counted = ids[weight < 1e8]
    assert len(counted) == len(np.unique(ids)), "an id that is drawn again does not count again"


@pytest.mark.parametrize("ordered", [True, False])
def test_steps_decide_the_epochs(ordered):
    """Sets take more of them; within bounds, where users are few or many."""
    log = log_of_kinds()
    split = leave_last_out(log, history_length=4)
    if not ordered:
        split = hold_out(log, np.tile(np.arange(8) > 5, 150), history_length=4)
    batches = TrainingBatches(split, batch_size=len(split.train) // 100)
    count = len(batches)
    assert TrainingSettings().epochs_of(batches) == round((10_000 if ordered else 20_000) / count)
    assert TrainingSettings(steps=4 * count).schedule_of(batches) == (4, count)
    assert TrainingSettings(steps=999 * count).epochs_of(batches) == 250
    assert TrainingSettings(epochs=7, steps=1).epochs_of(batches) == 7
    # Steps that end within an epoch, or before the fourth, are kept to: no epoch is made whole.
    assert TrainingSettings(steps=3 * count).schedule_of(batches).epochs == 5
    num_steps = TrainingSettings(steps=3 * count).schedule_of(batches).num_steps
    assert 3 * count <= num_steps < 3 * count + 5
    assert TrainingSettings(steps=7).schedule_of(batches) == (5, 2)
    assert TrainingSettings(steps=3).schedule_of(batches) == (3, 1)


def test_a_large_log_is_not_trained_on_for_four_epochs():
    class Batches:
        split = leave_last_out(log_of_kinds(), history_length=4)

        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

    settings = TrainingSettings()
    assert settings.schedule_of(Batches(9_000)) == (4, 9_000)
    assert settings.schedule_of(Batches(39_000)) == (5, 8_000)
    assert TrainingSettings(steps=2500).schedule_of(Batches(39_000)) == (5, 500)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": -1}, "`epochs` must be 0 or more, or None. Received: epochs=-1"),
        ({"steps": 0}, "`steps` must be a positive integer. Received: steps=0"),
        ({"k": 0}, "`k` must be a positive integer"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive"),
        ({"weight_decay": float("nan")}, "`weight_decay` 0 or more"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**wrong)


def test_no_epochs_leave_the_weights(sequences):
    assert train(new_ranker(sequences, width=4), sequences, replace(QUICK, epochs=0))["epoch"] == 0


@pytest.mark.parametrize("split_of", [leave_last_out, lambda log: hold_out(log, [0, 1, 0, 1])])
def test_training_examples_are_needed(split_of):
    split = split_of(
        Interactions(
            user=[1, 2, 3, 3] if split_of is leave_last_out else [1, 1, 2, 2], item=[5, 6, 7, 7]
        )
    )
    if len(split.train):
        split = replace(split, train=split.train[:0])
    with pytest.raises(ValueError, match=r"must be training examples\. Received: examples=0"):
        TrainingBatches(split)


def test_teachers_must_fit(sequences):
    other = NextItemRanker(FullEmbedding(9, 4), history_length=6)
    student = new_ranker(sequences, width=8)
    with pytest.raises(ValueError, match="`input_dim` of student and teacher must be the same"):
        DistilledRanker(student, other)
    with pytest.raises(ValueError, match=r"`share` must be in \[0, 1\]. Received: share=2"):
        DistilledRanker(student, None, share=2)
    reordered = sequences.renumbered(type(sequences.vocabulary)(list(sequences.vocabulary)[::-1]))
    with pytest.raises(ValueError, match="same vocabulary"):
        DistilledRanker(student, new_ranker(reordered, width=8))


@pytest.mark.parametrize("dropout", [None, True])
def test_after_a_teacher_nothing_is_dropped_out(sequences, dropout):
    """A student that is its teacher has nothing to learn, unless of parts of its queries."""
    teacher = new_ranker(sequences, width=8, dropout=0.5, item_dropout=0.5)
    teacher.build_once()
    student = NextItemRanker.from_config(teacher.get_config())
    student.build_once()
    student.set_weights(teacher.get_weights())
    model = DistilledRanker(student, teacher, share=1.0, dropout=dropout)
    model.compile(keras.optimizers.SGD(1.0))
    history, target = next(TrainingBatches(sequences, batch_size=8).epoch())
    model.train_on_batch(history, target)
    moved = [
        np.abs(new - old).max()
        for new, old in zip(student.get_weights(), teacher.get_weights(), strict=True)
    ]
    assert (max(moved) > 1e-3) == bool(dropout)


def test_after_a_teacher_one_history_in_64_is_left_out_and_only_then():
    seen = []

    class Watched(NextItemRanker):
        def query(self, inputs, training=False, distinct=False):
            seen.append(np.asarray(inputs))
            return super().query(inputs, training, distinct)

    def ranker(kind):
        model = kind(FullEmbedding(20, 4), history_length=3)
        model.build_once()
        return model

    history = np.random.default_rng(0).integers(1, 20, (130, 3))
    for teacher, without in ((ranker(NextItemRanker), [0, 64, 128]), (None, [])):
        model = DistilledRanker(ranker(Watched), teacher)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        seen.clear()
        model.train_on_batch(history, np.full((130, 1), 5))
        (inputs,) = seen
        assert np.flatnonzero((inputs == 0).all(axis=1)).tolist() == without
        kept = np.setdiff1d(np.arange(130), without)
        np.testing.assert_array_equal(inputs[kept], history[kept])


def test_renumbered_splits_name_the_same_items(sets):
    other = type(sets.vocabulary)(list(sets.vocabulary)[::-1])
    renumbered = sets.renumbered(other)
    for part, same in ((sets.test, renumbered.test), (sets.train, renumbered.train)):
        for name in ("history", "target"):
            before = sets.vocabulary.items(getattr(part, name))
            assert (before == other.items(getattr(same, name))).all()
    assert (sets.vocabulary.items(sets.test.seen) == other.items(renumbered.test.seen)).all()


def test_a_teacher_may_be_trained_afterwards(sequences):
    length = sequences.train.history.shape[1]
    rows = sequences.vocabulary.input_dim
    teacher = NextItemRanker(FullEmbedding(rows, 8), history_length=length)
    student = NextItemRanker(FullEmbedding(rows, 8), history_length=length)
    teacher.build_once()
    before = teacher.get_weights()
    model = DistilledRanker(student, teacher)
    model.compile("adam")
    model.fit(sequences.train.history[:64], sequences.train.target[:64], verbose=0)
    for now, then in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert teacher.trainable
    assert len(teacher.trainable_variables) == len(student.trainable_variables) > 0


def test_training_leaves_the_random_numbers_of_its_caller(sequences):
    length = sequences.train.history.shape[1]

    def drawn(seed, trains):
        """What a program with that seed draws, with or without a training in between."""
        keras.utils.set_random_seed(seed)
        embedding = FullEmbedding(sequences.vocabulary.input_dim, 8)
        ranker = NextItemRanker(embedding, history_length=length)
        ranker.build_once()
        if trains:
            train(ranker, sequences, TrainingSettings(epochs=1, seed=9))
        return np.random.rand(), random.random(), float(tf.random.uniform([]))

    first = drawn(1, trains=True)
    assert first[:2] == drawn(1, trains=False)[:2]
    # TensorFlow's follow from the caller's seed, not from that of the training.
    assert first[2] == drawn(1, trains=True)[2]
    assert first[2] != drawn(2, trains=True)[2]
