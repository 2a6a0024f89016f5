"""Orders by similarity: every id given once, similar items together, frequent ones first."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from memcom_tf.layers import MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.ordering import clustering, interaction_vectors, similarity_order
from memcom_tf.ordering.assignment import choose
from memcom_tf.progress import progress_bar
from memcom_tf.vocabulary import Vocabulary


def planted(num_clusters: int, size: int, noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around well separated directions, and the cluster of each, shuffled."""
    rng = np.random.default_rng(0)
    clusters = rng.permutation(np.repeat(np.arange(num_clusters), size))
    centres = np.linalg.qr(rng.normal(size=(num_clusters, num_clusters)))[0]
    lengths = rng.uniform(0.1, 10, (len(clusters), 1))  # only directions count
    noise_of = rng.normal(scale=noise, size=(len(clusters), num_clusters))
    return lengths * (centres[clusters] + noise_of), clusters


@pytest.mark.parametrize("first_id", [1, 2])
@pytest.mark.parametrize(("items", "num_buckets"), [(40, 7), (40, 40), (41, 40), (9, 1), (1, 1)])
def test_every_id_is_given_once(items, num_buckets, first_id):
    vectors = np.random.default_rng(1).normal(size=(items, 5))
    order = similarity_order(vectors, num_buckets, first_id=first_id)
    assert sorted(order.ids) == list(range(first_id, first_id + items))
    assert order.num_buckets == num_buckets
    assert 0 < order.share_in_nearest <= 1


def test_vectors_of_zeros_are_ordered_too():
    order = similarity_order(np.zeros((7, 3)), 2)
    assert sorted(order.ids) == list(range(1, 8))


def test_similar_items_share_a_bucket():
    vectors, clusters = planted(num_clusters=8, size=6)
    # Id 0 is padding, so that seven buckets have room for six, and one for five and the last id.
    order = similarity_order(vectors, 8, first_id=8)
    buckets = order.ids % 8
    assert len({*zip(clusters.tolist(), buckets.tolist(), strict=True)}) == 8
    assert order.share_in_nearest == 1.0
    assert order.mean_similarity > 0.99 > 2 * order.mean_similarity_by_chance
    assert "48 items in 8 buckets, 0 free ids: 100.0 % in their nearest" in str(order)


def test_the_most_frequent_choose_first_and_lead_their_bucket():
    """Twelve of one kind and eight of another, and two buckets for ten."""
    vectors, clusters = planted(num_clusters=2, size=12)
    kept = np.sort(np.argsort(clusters, kind="stable")[:20])
    vectors, clusters = vectors[kept], clusters[kept]
    counts = np.random.default_rng(2).permutation(20) * 100
    order = similarity_order(vectors, 2, counts=counts)
    rarest = sorted(np.flatnonzero(clusters == 0), key=lambda item: counts[item])
    misplaced = rarest[:2]
    home = order.ids[rarest[-1]] % 2
    assert all((order.ids[item] % 2 != home) == (item in misplaced) for item in rarest)
    assert order.share_in_nearest == 0.9
    for bucket in (0, 1):
        members = np.flatnonzero(order.ids % 2 == bucket)
        assert (np.diff(counts[members[np.argsort(order.ids[members])]]) < 0).all()


def test_items_that_find_all_near_centres_full_go_elsewhere():
    vectors = np.random.default_rng(3).normal(size=(300, 4))
    vectors[:280] = vectors[0] + np.random.default_rng(4).normal(scale=1e-3, size=(280, 4))
    order = similarity_order(vectors, 150)
    assert sorted(order.ids) == list(range(1, 301))
    counts = np.arange(300)[::-1]
    order = similarity_order(vectors, 150, counts=counts)
    assert sorted(order.ids) == list(range(1, 301))


def test_many_centres_are_searched_by_cells(monkeypatch):
    vectors, _ = planted(num_clusters=50, size=8, noise=0.01)
    exact = similarity_order(vectors, 50, iterations=20)
    monkeypatch.setattr(clustering, "_EXHAUSTIVE", 10)
    monkeypatch.setattr(clustering, "_CELLS_IN_SEARCH", 2)
    order = similarity_order(vectors, 50, iterations=20)
    assert sorted(order.ids) == list(range(1, 401))
    assert order.mean_similarity > 0.9 * exact.mean_similarity
    assert order.mean_similarity > 2 * order.mean_similarity_by_chance


def test_items_whose_candidates_are_full_or_missing_are_placed():
    centres = np.eye(3, dtype=np.float32)
    x = np.array([[1, 0, 0.1], [1, 0, 0.2], [0, 1, 0], [0.1, 1, 0]], np.float32)
    candidates = np.array([[0, -1], [0, -1], [-1, -1], [1, -1]], np.int32)
    chosen = choose(centres, x, candidates, np.array([1, 1, 2]), np.array([1, 0, 3, 2]))
    assert chosen.tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize(
    ("progress", "is_terminal", "shown"),
    [(True, False, True), (False, True, False), (None, False, False), (None, True, False)],
)
def test_a_bar_is_shown_where_it_was_asked_for(progress, is_terminal, shown, monkeypatch, capsys):
    """None shows none of work that takes less than two seconds."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    similarity_order(np.eye(6), 3, progress=progress)
    found = capsys.readouterr()
    assert found.out == ""
    assert ("buckets" in found.err) == shown


def test_the_bar_of_slow_work_appears_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("memcom_tf.progress._SECONDS_WITHOUT", -1.0)
    with progress_bar(None) as advance:
        advance("clustering items", 1.0)
    assert "clustering items" in capsys.readouterr().err


def test_the_order_is_reproducible_and_follows_the_seed():
    vectors = np.random.default_rng(5).normal(size=(200, 8))
    once, again, other = (similarity_order(vectors, 20, seed=seed).ids for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"vectors": np.ones(3)}, r"must be `\[n, d\]` with n > 0. Received: vectors=\(3,\)"),
        ({"vectors": [[1, 0], [np.nan, 1]]}, "must be finite. Received: item=1"),
        ({"num_buckets": 3}, "at most 2, the number of items that share.* Received: num_buckets=3"),
        ({"num_buckets": 0}, "`num_buckets` must be a positive integer"),
        ({"counts": [1]}, "one finite number of 0 or more for each vector"),
        ({"counts": [1, np.inf]}, "one finite number of 0 or more for each vector"),
        ({"counts": [1, -1]}, "one finite number of 0 or more for each vector"),
        ({"importance": [1, np.nan]}, "`importance` must hold one finite number of 0 or more"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        similarity_order(**{"vectors": [[1, 0], [0, 1]], "num_buckets": 2, **arguments})


def test_interaction_vectors_are_those_of_the_normalised_matrix():
    rng = np.random.default_rng(6)
    user, item = rng.integers(0, 30, 200), rng.integers(0, 12, 200)
    vectors = interaction_vectors([f"user {u}" for u in user], item, num_items=13, width=12)
    chosen = np.zeros((30, 13))
    chosen[user, item] = 1
    of_users, of_items = chosen.sum(1, keepdims=True), chosen.sum(0, keepdims=True)
    normalised = chosen / np.sqrt(np.maximum(of_users, 1)) / np.sqrt(np.maximum(of_items, 1))
    np.testing.assert_allclose(vectors @ vectors.T, normalised.T @ normalised, atol=1e-5)
    assert not vectors[12].any()


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ([0, 5], r"integers in \[0, 5\)"),
        ([0, -1], r"integers in \[0, 5\).*smallest=-1"),
        ([0.0, 1.0], "dtype='float64'"),
        ([0], "one of each for every interaction"),
    ],
)
def test_wrong_interactions_are_named(item, words):
    with pytest.raises(ValueError, match=words):
        interaction_vectors(["ann", "bob"], item, num_items=5)


def test_without_the_libraries_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"memcom_tf\[order\]"):
        similarity_order([[1, 0], [0, 1]], 2)


def vocabulary_of(vectors: np.ndarray, policy: str = "error") -> Vocabulary:
    names = [f"item {i}" for i in range(len(vectors))]
    return Vocabulary(
        names,
        counts=range(len(vectors))[::-1],
        order="frequency",
        out_of_vocabulary=policy,
        details={"title": {name: name.upper() for name in names}},
    )


@pytest.mark.parametrize("policy", ["error", "share"])
def test_a_vocabulary_is_reordered_with_all_it_knows(policy):
    vectors, _ = planted(num_clusters=5, size=4)
    before = vocabulary_of(vectors, policy)
    order = similarity_order(vectors, 5, counts=before.counts, first_id=before.first_id)
    after = before.reordered(order)
    names = list(before)
    np.testing.assert_array_equal(after.ids(names), order.ids)
    assert after.order == "similarity"
    assert after.num_buckets == 5
    assert after.out_of_vocabulary == policy
    assert after.input_dim == before.input_dim
    for name, count in zip(names, before.counts, strict=True):
        place = int(after.ids(name))
        assert after.counts[place - after.first_id] == count
        assert after.detail("title", place) == name.upper()
    again = Vocabulary.from_json(after.to_json())
    assert again == after
    assert again.num_buckets == 5
    assert after.fingerprint != before.fingerprint
    other = Vocabulary(list(after), order="similarity", num_buckets=4, out_of_vocabulary=policy)
    assert other.fingerprint != after.fingerprint


def test_an_order_of_other_items_is_refused():
    vectors, _ = planted(num_clusters=3, size=3)
    vocabulary = vocabulary_of(vectors)
    for order in (similarity_order(vectors[1:], 3), similarity_order(vectors, 3, first_id=2)):
        with pytest.raises(ValueError, match="must be those of the vocabulary"):
            vocabulary.reordered(order)
    with pytest.raises(ValueError, match="`num_buckets` must be given where"):
        Vocabulary(["a"], order="similarity")
    with pytest.raises(ValueError, match="`num_buckets` must be given where"):
        Vocabulary(["a"], num_buckets=1)


def test_a_ranker_refuses_the_order_of_another_number_of_buckets(tmp_path):
    vectors, _ = planted(num_clusters=5, size=4)
    vocabulary = vocabulary_of(vectors).reordered(similarity_order(vectors, 5))

    def ranker(num_buckets: int) -> NextItemRanker:
        table = MEmComEmbedding(vocabulary.input_dim, 4, num_buckets=num_buckets)
        return NextItemRanker(table, history_length=3, vocabulary=vocabulary)

    with pytest.raises(ValueError, match=r"num_buckets=6, .*vocabulary_num_buckets=5"):
        ranker(6)
    model = ranker(5)
    model(np.array([[1, 2, 0]]))
    path = tmp_path / "ranker.keras"
    model.save(path)
    from memcom_tf._keras import keras

    assert keras.models.load_model(path).vocabulary == vocabulary
