"""The protocol, the metrics (against two other implementations) and the evaluation of models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memcom_tf.datasets import Interactions, movielens_100k
from memcom_tf.evaluation import (
    Examples,
    agreement,
    best_lists,
    evaluate_lists,
    evaluate_ranking,
    hold_out,
    leave_last_out,
    list_metrics,
    load_split,
    popularity_groups,
    rank_examples,
    ranking_metrics,
    ranks_from_lists,
    ranks_from_scores,
    standard_error,
    standard_error_of_difference,
)
from memcom_tf.vocabulary import Vocabulary


def named(split, examples):
    """Examples as (user, history, target) in the items' own names."""
    items = split.vocabulary.items
    return [
        (user, [item for item in items(history).tolist() if item is not None], items(target).item())
        for user, history, target in zip(
            examples.user.tolist(), examples.history, examples.target, strict=True
        )
    ]


def test_protocol_by_hand():
    log = Interactions(
        user=["b", "a", "a", "a", "a", "c", "c"],
        item=[9, 4, 2, 3, 1, 3, 9],
        time=[1, 7, 2, 3, 3, 5, 4],
        details={"title": {4: "four"}},
    )
    split = leave_last_out(log, history_length=2)
    # a in time order, the tie 3, 1 in the order of the rows: 2, 3, 1, 4.
    assert named(split, split.train) == [("a", [2], 3), ("c", [9], 3)]
    assert named(split, split.validation) == [("a", [2, 3], 1)]
    assert named(split, split.test) == [("a", [3, 1], 4)]
    assert split.dropped == {"validation": 0, "test": 0}
    # Training interactions: 2, 3 of a; 9 of b; 9, 3 of c. 1 and 4 are known, without a count.
    assert list(split.vocabulary) == [3, 9, 2, 1, 4]
    assert split.vocabulary.counts.tolist() == [2, 2, 1, 0, 0]
    assert split.vocabulary.detail("title", split.vocabulary.ids(4)).item() == "four"
    assert split.test.history.dtype == split.vocabulary.ids(4).dtype


def test_padding_is_at_the_end():
    split = leave_last_out(Interactions(user=[1] * 4, item=[5, 6, 7, 8]), history_length=5)
    assert split.test.history[0, 3:].tolist() == [0, 0]
    assert split.vocabulary.items(split.test.history[0, :3]).tolist() == [5, 6, 7]


def test_repeated_items_stay_and_unrankable_targets_are_counted():
    log = Interactions(user=[1] * 4 + [2] * 4, item=[5, 5, 6, 5, 5, 6, 5, 7])
    split = leave_last_out(log)
    assert named(split, split.train) == [(1, [5], 5), (2, [5], 6)]
    assert named(split, split.validation) == [(1, [5, 5], 6)]
    assert named(split, split.test) == [(2, [5, 6, 5], 7)]
    assert split.dropped == {"validation": 1, "test": 1}
    # Only what the model sees counts: with one item of history 1's last target can be ranked.
    assert leave_last_out(log, history_length=1).dropped == {"validation": 0, "test": 0}


@pytest.mark.parametrize("policy", ["drop", "share"])
def test_a_given_vocabulary_that_lacks_items(policy):
    log = Interactions(user=[1] * 5 + [2] * 3, item=[5, 99, 6, 7, 8, 5, 6, 99])
    vocabulary = Vocabulary([5, 6, 7, 8], out_of_vocabulary=policy)
    split = leave_last_out(log, vocabulary=vocabulary, history_length=4)
    assert split.vocabulary is vocabulary
    first = vocabulary.first_id
    expected = [1, 2, 3, 0] if policy == "drop" else [2, 1, 3, 4]
    assert split.test.history.tolist() == [expected]
    assert split.test.target.tolist() == [first + 3]
    assert split.test.reserved == first
    assert split.dropped == {"validation": 0, "test": 1}
    assert split.train.target.tolist() == [first + 1]
    with pytest.raises(ValueError, match="must be that of the `vocabulary` passed"):
        other = "share" if policy == "drop" else "drop"
        leave_last_out(log, vocabulary=vocabulary, out_of_vocabulary=other)
    with pytest.raises(ValueError, match=r"unknown=\[99\], items=1, interactions=2") as caught:
        leave_last_out(log, vocabulary=Vocabulary([5, 6, 7, 8]))
    assert '`new_items="drop"`' in str(caught.value)
    assert "share" not in str(caught.value), "this vocabulary has no id for it"


def named_interactions(log):
    return list(zip(log.user.tolist(), log.item.tolist(), strict=True))


@pytest.mark.parametrize("policy", ["error", "drop", "share"])
@pytest.mark.parametrize("held_out", [False, True])
def test_new_items_are_dropped_or_shared(policy, held_out):
    items = [5, 99, 6, 7, 8, 5, 98, 6, 7, 99, 5, 6, 97]
    log = Interactions(user=[1] * 5 + [2] * 5 + [3] * 3, item=items)
    vocabulary = Vocabulary([5, 6, 7, 8], out_of_vocabulary=policy)

    def split(new_items, known=vocabulary):
        if not held_out:
            return leave_last_out(log, history_length=6, vocabulary=known, new_items=new_items)
        flags = [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1]
        return hold_out(log, flags, history_length=6, vocabulary=known, new_items=new_items)

    first = vocabulary.first_id
    dropped = split("drop")
    assert (dropped.num_new_items, dropped.num_new_interactions) == (3, 4)
    targets = np.concatenate([dropped.validation.target.ravel(), dropped.test.target.ravel()])
    found = [item for item in vocabulary.items(targets).tolist() if item is not None]
    assert sorted(found) == ([8] if held_out else [6, 7, 7, 8])
    assert {item for _, item in named_interactions(dropped.train_interactions)} == (
        {5, 6, 7} if held_out else {5, 6}
    )
    assert vocabulary.ids(dropped.train_interactions.item).min() >= first
    for part in (dropped.train, dropped.validation, dropped.test):
        history = part.history
        assert not np.isin(history, np.arange(1, first)).any()
        assert ((history[:, :-1] != 0) | (history[:, 1:] == 0)).all(), "padding at the end alone"

    error = (ValueError, r"unknown=\[97, 98, 99\], items=3, interactions=4")
    for new_items in ("error", None if policy == "error" else "error"):
        with pytest.raises(error[0], match=error[1]) as caught:
            split(new_items)
        assert ("share" in str(caught.value)) == (policy == "share")
    if policy != "share":
        with pytest.raises(ValueError, match="must have a shared id") as caught:
            split("share")
        assert '`new_items="drop"`' in str(caught.value)
        return
    shared = split("share")
    assert shared.num_new_interactions == split(None).num_new_interactions == 4
    assert (shared.train.history == 1).any() or (shared.test.history == 1).any()
    for part in (shared.train, shared.validation, shared.test):
        assert not (part.target == 1).any()


def test_new_items_need_a_vocabulary_that_knows_some():
    log = Interactions(user=[1] * 4, item=[1, 2, 3, 4])
    for split in (leave_last_out, lambda log, **words: hold_out(log, [0, 0, 0, 1], **words)):
        with pytest.raises(ValueError, match="must come with a `vocabulary`"):
            split(log, new_items="drop")
        with pytest.raises(ValueError, match="Some items must be in the vocabulary"):
            split(log, new_items="drop", vocabulary=Vocabulary([5, 6]))
        with pytest.raises(ValueError, match="`new_items` must be known"):
            split(log, new_items="ignore", vocabulary=Vocabulary([1]))


@pytest.mark.parametrize(
    ("known", "items", "expected"),
    [
        (["7", "B1", "007"], [7, 7, 7, 7], ["7"] * 4),
        ([7, 8], ["7", "8", "007", "x7"], [7, 8, None, None]),
        ([7, 8], ["x", "8", "+7", "7.0"], [None, 8, None, None]),
        (["7", "x"], ["x", "y", "x", "7"], ["x", None, "x", "7"]),
    ],
)
def test_items_are_known_by_their_text(known, items, expected):
    """A column of one log is all integers, of another it is not: the items are the same."""
    log = Interactions(user=[1, 2, 3, 4], item=items)
    split = leave_last_out(log, vocabulary=Vocabulary(known), new_items="drop")
    found = named_interactions(split.train_interactions)
    assert found == [(user, item) for user, item in enumerate(expected, 1) if item is not None]
    assert split.num_new_interactions == expected.count(None)


def test_a_log_is_split_and_what_is_new_is_said(tmp_path):
    (tmp_path / "log.csv").write_text(
        "user,item,Date\n" + "".join(f"1,{item},2020-01-0{9 - item}\n" for item in range(1, 8))
    )
    said = []
    split = load_split(
        tmp_path / "log.csv",
        vocabulary=Vocabulary([str(item) for item in range(1, 7)]),
        new_items="drop",
        report=said.append,
    )
    assert split.vocabulary.items(split.test.target).tolist() == ["1"]
    assert said == [
        "reading users from `user`, items from `item`, time from `Date`",
        "1 of 7 interactions are left out: the model does not know their items (1)",
    ]


interactions = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from("abcdef"), st.integers(0, 5)), min_size=1
)


@given(interactions, st.integers(1, 4), st.booleans())
def test_protocol_is_that_of_a_loop(rows, length, timed):
    users, items, times = zip(*rows, strict=True)
    log = Interactions(user=users, item=items, time=times if timed else None)
    split = leave_last_out(log, history_length=length)
    train, validation, test, pairs = [], [], [], []
    for user in sorted(set(users)):
        mine = [row for row in rows if row[0] == user]
        if timed:
            mine.sort(key=lambda row: row[2])
        own = [row[1] for row in mine]
        end = len(own) - 2 if len(own) >= 3 else len(own)
        train += [(user, own[max(0, t - length) : t], own[t]) for t in range(1, end)]
        pairs += [(user, own[t]) for t in range(end)]
        for t, part in ((end, validation), (end + 1, test)):
            if t < len(own) and own[t] not in own[max(0, t - length) : t]:
                part.append((user, own[max(0, t - length) : t], own[t]))
    assert named(split, split.train) == train
    found = split.train_interactions
    assert list(zip(found.user.tolist(), found.item.tolist(), strict=True)) == pairs
    assert named(split, split.validation) == validation
    assert named(split, split.test) == test


def test_real_data():
    log = movielens_100k()
    split = leave_last_out(log)
    assert len(split.train) == 100_000 - 3 * 943
    assert len(split.validation) == len(split.test) == 943
    assert split.dropped == {"validation": 0, "test": 0}
    assert split.train.history.shape == (97_171, 50)
    assert split.vocabulary.input_dim == 1683
    assert split.vocabulary.counts.sum() == 100_000 - 2 * 943


def test_ranks_from_scores_by_hand():
    scores = np.array([[9.0, 0.1, 0.9, 0.5, 0.5, 0.2]])
    assert ranks_from_scores(scores, [[0, 0]], [3]) == [3], "a tie counts against the target"
    assert ranks_from_scores(scores, [[2, 0]], [3]) == [2], "the history is left out"
    assert ranks_from_scores(scores, [[2, 4]], [3]) == [1]
    assert ranks_from_scores(scores, [[2, 2]], [3]) == [2], "once, though it occurs twice"
    assert ranks_from_scores(scores, [[0]], [2]) == [1], "padding is no candidate"
    assert ranks_from_scores([[9, 9, 1, 2]], [[1]], [3], reserved=2) == [1]
    assert ranks_from_scores(np.zeros((1, 6)), [[1, 0]], [3]) == [4], "constant: the last rank"
    assert ranks_from_scores(np.zeros((0, 6)), np.zeros((0, 2), int), []).shape == (0,)
    worst = [[0.0, 1.0, -np.inf, 2.0]]
    assert ranks_from_scores(worst, [[1]], [2]) == [2], "the history is below even that"


def test_several_targets_by_hand():
    scores = np.array([[9.0, 0.1, 0.9, 0.5, 0.4], [9.0, 0.1, 0.2, 0.3, 0.4]])
    target = [[3, 1, 0], [4, 0, 0]]
    ranks = ranks_from_scores(scores, [[4], [3]], target)
    assert ranks.tolist() == [[2, 3, 0], [1, 0, 0]], "a target competes with the other ones"
    lists = ranks_from_lists([[2, 3], [4, 2]], target)
    assert lists.tolist() == [[2, np.inf, 0], [1, 0, 0]]
    found = ranking_metrics(ranks, 2)
    dcg, ideal = 1 / np.log2(3), 1 + 1 / np.log2(3)
    assert found == {
        "ndcg@2": pytest.approx((dcg / ideal + 1) / 2),
        "recall@2": pytest.approx((1 / 2 + 1) / 2),
        "mrr": pytest.approx((1 / 2 + 1) / 2),
    }
    # No more than k can be found: the ideal list is full.
    assert ranking_metrics([[1, 2, 3]], 2)["ndcg@2"] == pytest.approx(1)
    with pytest.raises(ValueError, match=r"must hold a target.*example=1"):
        ranks_from_scores(scores, [[0], [0]], [[1, 0], [0, 0]])


def test_ranks_from_lists_by_hand():
    ranks = ranks_from_lists([[5, 2, 0], [5, 2, 5], [5, 5, 1]], [2, 7, 5])
    assert ranks.tolist() == [2.0, np.inf, 1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 1, np.nan]], [[0]], [1]), r"must not be NaN. Received: example=0, id=2"),
        (([[0, 1, 2]], [[1]], [1]), "must not be in its history.*example=0, target=1"),
        (([[0, 1, 2]], [[0]], [3]), "`target` must be ids from 1 to 2. Received: example=0, id=3"),
        (([[0, 1, 2]], [[0]], [0]), "`target` must be ids from 1"),
        (([[0, 1, 2]], [[3]], [1]), "`history` must be ids from 0 to 2"),
        (([[0, 1, 2]], [[-1]], [1]), "`history` must be ids from 0"),
        (([[0, 1, 2]], [0], [1]), "`history` must be integers in 2 dimensions"),
        (([[0, 1, 2]], [[0.5]], [1]), "`history` must be integers"),
        (([[0, 1, 2]], [[0], [0]], [1]), r"`scores` must be \[n, v\]"),
        (([0, 1, 2], [[0]], [1]), r"`scores` must be \[n, v\]"),
    ],
)
def test_ranks_from_scores_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ranks_from_scores(*arguments)


def test_metrics_refuse():
    for ranks, k, message in [
        ([1], 0, "`k` must be positive. Received: k=0"),
        ([], 1, r"`ranks` must be \[n\]"),
        ([[[1]]], 1, r"`ranks` must be \[n\]"),
        ([[1, 2], [0, 0]], 1, "at least 1. Received: rank="),
        ([0.5], 1, "at least 1. Received: rank="),
        ([np.nan], 1, "at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            ranking_metrics(ranks, k)
        with pytest.raises(ValueError, match=message):
            standard_error(ranks, k)
    with pytest.raises(ValueError, match="at least two"):
        standard_error([1], 1)
    with pytest.raises(ValueError, match="must be positive"):
        ranks_from_scores([[0, 1]], [[0]], [1], reserved=0)
    with pytest.raises(ValueError, match=r"`ranked_ids` must be \[n, K\]"):
        ranks_from_lists([[1]], [1, 2])
    with pytest.raises(ValueError, match="`target` must be ids from 1"):
        ranks_from_lists([[0]], [0])


@pytest.mark.parametrize("k", [1, 3, 10])
def test_metrics_agree_with_scikit_learn(k):
    from sklearn.metrics import ndcg_score, top_k_accuracy_score

    generator = np.random.default_rng(k)
    scores = generator.permuted(np.arange(20 * 30).reshape(20, 30), axis=1)
    target = generator.integers(1, 30, 20)
    metrics = ranking_metrics(ranks_from_scores(scores, np.zeros((20, 1), int), target), k)
    truth = np.eye(30)[target]
    assert metrics[f"ndcg@{k}"] == pytest.approx(ndcg_score(truth[:, 1:], scores[:, 1:], k=k))
    recall = top_k_accuracy_score(target, scores[:, 1:], k=k, labels=np.arange(1, 30))
    assert metrics[f"recall@{k}"] == pytest.approx(recall)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_metrics_agree_with_keras_rs(k):
    keras_rs = pytest.importorskip("keras_rs")
    generator = np.random.default_rng(k)
    scores = generator.permuted(np.arange(20 * 30.0).reshape(20, 30), axis=1).astype("float32")
    target = generator.integers(1, 30, 20)
    ranks = ranks_from_scores(scores, np.zeros((20, 1), int), target)
    truth = np.eye(30, dtype="float32")[target]
    for name, metric in [
        (f"ndcg@{k}", keras_rs.metrics.NDCG(k=k)),
        (f"recall@{k}", keras_rs.metrics.RecallAtK(k=k)),
    ]:
        metric.update_state(truth[:, 1:], scores[:, 1:])
        assert ranking_metrics(ranks, k)[name] == pytest.approx(float(metric.result()), abs=1e-5)
    metric = keras_rs.metrics.MeanReciprocalRank()
    metric.update_state(truth[:, 1:], scores[:, 1:])
    assert ranking_metrics(ranks, k)["mrr"] == pytest.approx(float(metric.result()), abs=1e-5)


def test_the_error_of_a_difference_is_that_of_the_same_examples():
    rng = np.random.default_rng(4)
    ranks = rng.integers(1, 15, 500).astype(float)
    better = np.maximum(1, ranks - (rng.random(500) < 0.3))
    paired = standard_error_of_difference(better, ranks, 10)
    apart = np.hypot(standard_error(better, 10), standard_error(ranks, 10))
    assert 0 < paired < apart / 3, "what both find hard is no difference"
    assert standard_error_of_difference(ranks, ranks, 10) == 0
    assert paired == standard_error_of_difference(ranks, better, 10)
    for others in (ranks[:-1], ranks[:1]):
        with pytest.raises(ValueError, match=r"as many ranks of both, and at least two. Received"):
            standard_error_of_difference(ranks[:1], others, 10)


def test_standard_error_is_that_of_the_mean():
    assert standard_error([1, 20], 10) == 0.5, "n - 1, not n"
    generator = np.random.default_rng(0)
    ranks = generator.integers(1, 20, 400)
    means = [ranking_metrics(generator.choice(ranks, 400), 10)["ndcg@10"] for _ in range(2000)]
    assert standard_error(ranks, 10) == pytest.approx(np.std(means), rel=0.06)


@pytest.fixture
def examples():
    generator = np.random.default_rng(3)
    history = generator.integers(5, 40, (23, 4))
    return Examples(history, generator.integers(2, 5, 23), np.arange(23), reserved=2)


def table(history):
    """Scores that depend on the history alone."""
    return np.sin(np.outer(history.sum(axis=1), np.arange(1, 41))).astype(np.float32)


def test_evaluation_does_not_depend_on_the_batch(examples):
    expected = evaluate_ranking(table, examples)
    assert expected == evaluate_ranking(table, examples, batch_size=7)
    assert expected == ranking_metrics(rank_examples(table, examples, batch_size=1), 10)
    sizes = []
    evaluate_ranking(lambda h: (sizes.append(len(h)), table(h).tolist())[1], examples, batch_size=9)
    assert sizes == [9, 9, 5]


def test_batches_have_no_more_scores_than_memory_is_for(examples, monkeypatch):
    from memcom_tf.evaluation import ranking

    expected = evaluate_ranking(table, examples)
    monkeypatch.setattr(ranking, "_FIRST_BATCH", 2)
    monkeypatch.setattr(ranking, "_SCORES_AT_ONCE", 8 * 40)
    sizes = []
    found = evaluate_ranking(lambda h: (sizes.append(len(h)), table(h))[1], examples)
    assert found == expected
    assert sizes == [2, 8, 8, 5]


def test_lists_and_scores_give_the_same(examples):
    def rank(history):
        scores = table(history[None])[0]
        scores[[0, 1, *history]] = -np.inf
        return np.argsort(-scores)[:12]

    by_scores = evaluate_ranking(table, examples, k=10)
    assert evaluate_lists(rank, examples, k=10) == {
        name: by_scores[name] for name in ("ndcg@10", "recall@10")
    }


def test_evaluation_refuses(examples):
    empty = Examples(examples.history[:0], examples.target[:0], examples.user[:0])
    for call in (
        lambda: evaluate_ranking(table, empty),
        lambda: evaluate_lists(lambda _: [1], empty, k=1),
    ):
        with pytest.raises(ValueError, match="There must be examples"):
            call()
    with pytest.raises(ValueError, match="`batch_size` must be positive"):
        evaluate_ranking(table, examples, batch_size=0)
    with pytest.raises(ValueError, match="`k` must be positive"):
        evaluate_lists(lambda _: [1], examples, k=0)
    with pytest.raises(ValueError, match="at least k ids"):
        evaluate_lists(lambda _: [1, 2], examples, k=3)
    with pytest.raises(ValueError, match=r"`scores` must be \[n, v\]"):
        evaluate_ranking(lambda history: table(history)[:-1], examples)
    with pytest.raises(ValueError, match=r"must be \[n, L\] and \[n, S\]"):
        Examples(examples.history, examples.target[:-1], examples.user)
    log = Interactions(user=[1], item=[1])
    for length in (0, -1, 2**16 + 1, 10**12, 1.5, True):
        for split in (leave_last_out, lambda log, **words: hold_out(log, [0], **words)):
            with pytest.raises(ValueError, match="`history_length` must be an integer from 1 to"):
                split(log, history_length=length)


def test_held_out_interactions_are_split_by_a_coin():
    rng = np.random.default_rng(0)
    users, items = np.divmod(rng.permutation(40 * 30)[:600], 30)
    is_test = rng.random(600) < 0.3
    log = Interactions(user=users, item=items + 100)
    split = hold_out(log, is_test, history_length=6)
    assert not split.ordered
    trained = {*zip(users[~is_test].tolist(), (items[~is_test] + 100).tolist(), strict=True)}
    held = {*zip(users[is_test].tolist(), (items[is_test] + 100).tolist(), strict=True)}
    found = []
    for part in (split.validation, split.test):
        for example in range(len(part)):
            user = int(part.user[example])
            named = [
                split.vocabulary.items(row[row != 0]).tolist()
                for row in (part.history[example], part.target[example], part.seen[example])
            ]
            history, target, seen = named
            assert {(user, item) for item in seen} == {p for p in trained if p[0] == user}
            assert history == seen[-6:]
            found += [(user, item) for item in target]
    assert sorted(found) == sorted(held), "each is in one part, once"
    assert 0.3 < len(split.validation.target[split.validation.target > 0]) / len(held) < 0.7
    counts = dict(zip(split.vocabulary, split.vocabulary.counts, strict=True))
    assert counts == {item: sum(pair[1] == item for pair in trained) for item in counts}
    kept = split.train_interactions
    assert {*zip(kept.user.tolist(), kept.item.tolist(), strict=True)} == trained
    assert not (
        (split.train.history[:, :, None] == split.train.target[:, None])
        & (split.train.target[:, None] != 0)
    ).any()


def test_held_out_interactions_that_cannot_be_ranked_are_dropped():
    log = Interactions(user=[1, 1, 1, 1, 1, 2], item=["a", "b", "a", "c", "c", "a"])
    split = hold_out(log, [0, 0, 1, 1, 1, 1])
    assert sum(split.dropped.values()) >= 2  # a again; 2 has no history; perhaps c twice in a part
    for part in (split.validation, split.test):
        assert {*part.user.tolist()} <= {1}
        assert {*split.vocabulary.items(part.target).ravel().tolist()} <= {"c"}


def test_evaluation_leaves_out_what_was_seen():
    examples = Examples(np.array([[1]]), np.array([[3, 0]]), np.array([7]), seen=np.array([[1, 2]]))
    assert rank_examples(lambda history: [[0, 3, 2, 1]], examples).tolist() == [[1, 0]]
    assert examples[:1].seen is not None and len(examples[np.array([False])]) == 0


@pytest.mark.parametrize("is_test", [[0, 1], [0, 1, 2], [1, 1, 1]])
def test_held_out_flags_must_fit(is_test):
    with pytest.raises(ValueError, match=r"`is_test` must hold|must be for training"):
        hold_out(Interactions(user=[1, 1, 2], item=[3, 4, 3]), is_test)


def test_the_best_items_are_those_of_the_highest_scores(examples):
    lists = best_lists(table, examples, k=12)
    for row, history in enumerate(examples.history):
        scores = table(history[None])[0]
        scores[[0, 1, *history]] = -np.inf
        np.testing.assert_array_equal(lists[row], np.argsort(-scores, kind="stable")[:12])
    np.testing.assert_array_equal(best_lists(table, examples, k=12, batch_size=5), lists)
    few = best_lists(lambda h: np.where(np.arange(40) < 9, table(h), -np.inf), examples[:2], k=12)
    with pytest.raises(ValueError, match="must not be NaN"):
        best_lists(lambda h: table(h) * np.nan, examples, k=3)
    assert (few > 0).sum(axis=1).max() <= 7 and (few[:, 7:] == 0).all()


def test_groups_of_popularity_have_a_third_of_all_interactions_each():
    counts = np.r_[0, 0, np.arange(300, 0, -1)]
    groups = popularity_groups(counts)
    shares = [counts[groups == group].sum() / counts.sum() for group in range(3)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.01)
    assert (groups[:2] == 2).all()
    assert (np.diff(groups[2:]) >= 0).all()
    with pytest.raises(ValueError, match="not all 0"):
        popularity_groups([0, 0])


def test_lists_tell_whom_they_serve():
    counts = np.r_[0, np.full(3, 100), np.full(300, 1)]
    lists = np.array([[1, 2], [1, 200], [3, 2], [0, 0]])
    found = list_metrics(lists, np.array([1, 200, 201, 202]), counts)
    assert found["recall@2 head"] == 1
    assert found["recall@2 tail"] == pytest.approx(1 / 3)
    assert found["coverage@2"] == pytest.approx(4 / 303)
    of_several = list_metrics(lists[:1], np.array([[1, 2, 0]]), counts)
    assert of_several["recall@2 head"] == 1
    with pytest.raises(ValueError, match=r"a number for each id.*id=200"):
        list_metrics(lists, np.array([1, 2, 3, 3]), counts[:100])


def test_agreement_is_of_items_wherever_they_are_in_a_list():
    lists = np.array([[1, 2, 3], [4, 0, 0], [0, 0, 0]])
    assert agreement(lists, lists[:, ::-1]) == 1
    assert agreement(lists, np.array([[3, 9, 8], [7, 0, 0], [1, 2, 3]])) == pytest.approx(1 / 6)
    for first, second in ((lists, lists[:2]), (lists * 0, lists)):
        with pytest.raises(ValueError, match="of the same shape"):
            agreement(first, second)


def test_all_that_is_held_out_may_be_for_test():
    rng = np.random.default_rng(0)
    log = Interactions(user=np.repeat(np.arange(80), 30), item=rng.integers(0, 500, 2400))
    held_out = rng.random(len(log)) < 0.2
    split = hold_out(log, held_out, history_length=40, validation="training")
    vocabulary, items = split.vocabulary, np.asarray(log.item)
    trained = split.train_interactions
    learned = {(u, i) for u, i in zip(trained.user, trained.item, strict=True)}
    assert 0.87 < len(trained) / (~held_out).sum() < 0.93
    for part, of_user, known in (
        (split.validation, ~held_out, None),
        (split.test, held_out, ~held_out),
    ):
        assert len(part) > 70
        for user, target, history, seen in zip(
            part.user, part.target, part.history, part.seen, strict=True
        ):
            here = np.asarray(log.user) == user
            mine = {i for i in items[here & of_user]} - {i for u, i in learned if u == user}
            before = {i for u, i in learned if u == user}
            if known is not None:
                before = set(items[here & known])
                mine = set(items[here & of_user]) - before
            assert set(vocabulary.items(target[target > 0])) == mine
            assert set(vocabulary.items(seen[seen > 0])) == before
            assert set(vocabulary.items(history[history > 0])) == before
    with pytest.raises(ValueError, match="`validation` must be known"):
        hold_out(log, held_out, validation="test")
