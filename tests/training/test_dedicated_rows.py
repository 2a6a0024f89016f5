"""Frequent ids with rows of their own: orders, vocabularies and models agree which they are."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.layers import MEmComEmbedding, ResidualQuantizedEmbedding
from memcom_tf.models import NextItemRanker, extended_ranker, refreshed_ranker
from memcom_tf.ordering import SimilarityOrder, similarity_order
from memcom_tf.tables import RowSharing
from memcom_tf.vocabulary import Vocabulary
from tests.ordering.test_ordering import planted, vocabulary_of

CLUSTERS, DEDICATED = 5, 6


def ordered(reserve: int = 0, policy: str = "error") -> tuple[Vocabulary, SimilarityOrder]:
    """Twenty-five items; the five to the ids below six are those that occurred most."""
    vectors, _ = planted(num_clusters=CLUSTERS, size=5)
    vocabulary = vocabulary_of(vectors, policy)
    order = similarity_order(
        vectors,
        CLUSTERS,
        num_dedicated=DEDICATED,
        counts=vocabulary.counts,
        first_id=vocabulary.first_id,
        reserve=reserve,
    )
    return vocabulary.reordered(order), order


@pytest.mark.parametrize("policy", ["error", "share"])
def test_the_most_frequent_share_no_row_and_the_others_one_with_their_like(policy):
    vocabulary, order = ordered(policy=policy)
    first = vocabulary.first_id
    assert sorted(order.ids) == list(range(first, first + 25))
    # `vocabulary_of` counts fall from item to item.
    assert order.ids[: DEDICATED - first].tolist() == list(range(first, DEDICATED))
    shared = order.ids[DEDICATED - first :]
    rows = RowSharing(CLUSTERS, DEDICATED).rows_of(shared)
    assert np.array_equal(rows - DEDICATED, order.buckets(shared))
    assert (np.bincount(rows)[DEDICATED:] == 4).sum() >= 4 - (first == 2)
    _, clusters = planted(num_clusters=CLUSTERS, size=5)
    mixed = {*zip(clusters[DEDICATED - first :].tolist(), rows.tolist(), strict=True)}
    assert len(mixed) <= CLUSTERS + 3, "only what found its bucket full is elsewhere"


def test_the_most_important_have_rows_of_their_own_in_order_of_frequency():
    vectors, _ = planted(num_clusters=CLUSTERS, size=5)
    counts = np.arange(25)[::-1]
    importance = np.isin(np.arange(25), [3, 20, 11, 24, 8]) * (1.0 + counts[::-1])
    order = similarity_order(
        vectors, CLUSTERS, num_dedicated=DEDICATED, counts=counts, importance=importance
    )
    assert order.ids[[3, 8, 11, 20, 24]].tolist() == [1, 2, 3, 4, 5]
    assert sorted(order.ids) == list(range(1, 26))


def test_it_is_remembered_and_decides_the_fingerprint(tmp_path):
    vocabulary, order = ordered()
    assert vocabulary.num_dedicated == DEDICATED
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert again.num_dedicated == DEDICATED
    other = Vocabulary(list(vocabulary), order="similarity", num_buckets=CLUSTERS)
    assert other.fingerprint != vocabulary.fingerprint
    order.save(tmp_path / "order.npz")
    assert SimilarityOrder.load(tmp_path / "order.npz").num_dedicated == DEDICATED


def test_a_vocabulary_without_it_is_written_as_before():
    text = Vocabulary(["tea"], order="similarity", num_buckets=1).to_json()
    assert "num_unshared" not in text  # as it is called in files
    assert Vocabulary.from_json(text).num_dedicated == 0


def ranker_of(vocabulary: Vocabulary, **sharing: int) -> NextItemRanker:
    table = MEmComEmbedding(vocabulary.input_dim, 4, **sharing)
    model = NextItemRanker(table, history_length=3, vocabulary=vocabulary)
    model(np.array([[1, 2, 0]]))
    return model


def test_a_ranker_refuses_another_number():
    vocabulary, _ = ordered()
    ranker_of(vocabulary, num_buckets=CLUSTERS, num_dedicated=DEDICATED)
    with pytest.raises(ValueError, match=r"num_dedicated=0, .*vocabulary_num_dedicated=6"):
        ranker_of(vocabulary, num_buckets=CLUSTERS)


def test_later_items_join_the_bucket_of_their_like():
    vocabulary, order = ordered(reserve=1)
    later = vocabulary.appended(["new"], order, order.centres[[3]])
    assert order.buckets(later.ids("new")) == 3
    assert later.num_dedicated == DEDICATED
    model = ranker_of(vocabulary, num_buckets=CLUSTERS, num_dedicated=DEDICATED)
    extended = extended_ranker(model, later)
    rows = RowSharing(CLUSTERS, DEDICATED).rows_of(np.arange(later.input_dim))
    new = int(later.ids("new"))
    alike = [i for i in np.flatnonzero(rows == rows[new]) if i in order.ids]
    vectors = np.asarray(extended.item_embedding(np.arange(later.input_dim)))
    np.testing.assert_allclose(vectors[new], vectors[alike].mean(axis=0), rtol=1e-5)


def test_a_refreshed_ranker_has_the_rows_of_its_new_order():
    vocabulary, _ = ordered()
    vectors, _ = planted(num_clusters=CLUSTERS, size=5)
    plain = vocabulary_of(vectors)
    model = NextItemRanker(
        MEmComEmbedding(plain.input_dim, 4, num_buckets=plain.input_dim),
        history_length=3,
        vocabulary=plain,
    )
    model(np.array([[1, 2, 0]]))
    refreshed = refreshed_ranker(model, vocabulary)
    assert refreshed.item_embedding.num_dedicated == DEDICATED
    assert refreshed.item_embedding.num_buckets == CLUSTERS
    names = list(plain)[: DEDICATED - 1]
    np.testing.assert_allclose(
        refreshed.item_embedding(vocabulary.ids(names)),
        model.item_embedding(plain.ids(names)),
        rtol=1e-4,
        atol=1e-6,
    )


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match=r"`num_dedicated` must be in \[0, 7\].*num_dedicated=8"):
        MEmComEmbedding(10, 4, num_buckets=3, num_dedicated=8)
    with pytest.raises(ValueError, match="`num_dedicated` needs `num_buckets`"):
        ResidualQuantizedEmbedding(10, 4, num_codebooks=1, num_dedicated=2)
    with pytest.raises(ValueError, match="must be at most 2"):
        similarity_order(np.eye(5), 3, num_dedicated=4)
    with pytest.raises(ValueError, match="`num_dedicated` must be 0 where"):
        Vocabulary(["tea"], num_dedicated=1)
    for wrong in (-1, 1.5):
        for call in (
            lambda wrong=wrong: MEmComEmbedding(10, 4, num_buckets=3, num_dedicated=wrong),
            lambda wrong=wrong: similarity_order(np.eye(5), 3, num_dedicated=wrong),
            lambda wrong=wrong: Vocabulary(
                ["tea"], order="similarity", num_buckets=1, num_dedicated=wrong
            ),
        ):
            with pytest.raises(ValueError, match="`num_dedicated` must be a positive integer"):
                call()


def test_arguments_are_taken_by_the_names_that_they_had():
    layer = MEmComEmbedding(20, 4, num_buckets=3, num_unshared=5)
    assert layer.num_dedicated == 5
    assert layer.get_config()["num_dedicated"] == 5
    with pytest.raises(TypeError, match="`num_dedicated` must be given once"):
        MEmComEmbedding(20, 4, num_buckets=3, num_unshared=5, num_dedicated=5)
