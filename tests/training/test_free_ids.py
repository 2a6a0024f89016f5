"""Ids that are kept for later items: given by an order, filled by `appended`, never ranked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memcom_tf import FullEmbedding, MEmComEmbedding, Vocabulary
from memcom_tf.datasets import Interactions
from memcom_tf.evaluation import evaluate_ranking, leave_last_out, ranks_from_scores
from memcom_tf.models import NextItemRanker
from memcom_tf.models.free_ids import draw_ids
from memcom_tf.ordering import SimilarityOrder, similarity_order

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(40, 6))
NAMES = [f"item {number}" for number in range(40)]


def ordered(reserve: int = 2, policy: str = "share") -> tuple[Vocabulary, SimilarityOrder]:
    before = Vocabulary(
        NAMES,
        counts=range(40)[::-1],
        out_of_vocabulary=policy,
        details={"title": {name: name.upper() for name in NAMES}},
    )
    order = similarity_order(
        VECTORS, 8, counts=before.counts, first_id=before.first_id, reserve=reserve
    )
    return before.reordered(order), order


# The order and the vocabulary.


@pytest.mark.parametrize("policy", ["error", "share"])
def test_each_bucket_has_as_many_free_ids_as_were_asked_for(policy):
    vocabulary, order = ordered(reserve=3, policy=policy)
    first = vocabulary.first_id
    assert sorted(order.ids) == list(range(first, first + 40))
    assert vocabulary.free_ids.tolist() == list(range(first + 40, first + 40 + 24))
    assert vocabulary.input_dim == order.input_dim == first + 64
    assert np.bincount(vocabulary.free_ids % 8).tolist() == [3] * 8
    assert len(vocabulary) == len(list(vocabulary)) == len(vocabulary.counts) == 40
    assert vocabulary.items(vocabulary.free_ids).tolist() == [None] * 24
    assert set(vocabulary.detail("title", vocabulary.free_ids)) == {""}
    assert "24 free ids" in str(order)
    assert "40 items, 24 free ids" in repr(vocabulary)
    np.testing.assert_array_equal(vocabulary.ids(NAMES), order.ids)


def test_free_ids_are_saved_and_told_apart():
    vocabulary, _ = ordered()
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert again.free_ids.tolist() == vocabulary.free_ids.tolist()
    assert again.fingerprint != ordered(reserve=1)[0].fingerprint
    for order in ("given", "frequency"):
        with pytest.raises(ValueError, match="missing values"):
            Vocabulary(["a", None], order=order)
    with pytest.raises(ValueError, match="must not be empty"):
        Vocabulary([None], order="similarity", num_buckets=1)
    content = json.loads(vocabulary.to_json())
    content["items"].pop()
    with pytest.raises(ValueError, match="damage"):
        Vocabulary.from_json(json.dumps(content))


def test_later_items_get_free_ids_of_the_bucket_that_suits_them():
    vocabulary, order = ordered(reserve=2)
    # Four that are like an item each, two of them like the same.
    vectors = order.centres[[5, 1, 5, 3]] * 7
    later = vocabulary.appended(
        ["a", "b", "c", "d"], order, vectors, details={"title": {"b": "B", "item 3": "third"}}
    )
    ids = later.ids(["a", "b", "c", "d"])
    assert (ids % 8).tolist() == [5, 1, 5, 3]
    assert set(ids) <= set(vocabulary.free_ids)
    assert set(later.free_ids) == set(vocabulary.free_ids) - set(ids)
    np.testing.assert_array_equal(later.ids(NAMES), vocabulary.ids(NAMES))
    assert later.input_dim == vocabulary.input_dim
    assert later.detail("title", later.ids(["b", "a", "item 3"])).tolist() == ["B", "", "third"]
    assert later.detail("title", later.ids("item 4")).item() == "ITEM 4"
    assert later.find("B") == later.ids("b")
    count_of = dict(zip(later, later.counts, strict=True))
    assert (count_of["item 0"], count_of["a"]) == (39, 0)
    once_more = later.appended(["e"], order, order.centres[[5]])
    assert once_more.ids("e") % 8 != 5, "the two free ids of its bucket are taken"
    assert order.place(order.centres[[5]], later.free_ids).share_in_nearest == 0.0


def test_free_ids_are_filled_to_the_last_and_then_there_is_an_error():
    vocabulary, order = ordered(reserve=1)
    vectors = np.tile(order.centres[2], (9, 1))
    full = vocabulary.appended(range_names(8), order, vectors[:8])
    assert full.free_ids.size == 0
    with pytest.raises(ValueError, match=r"items=9, free_ids=8. Make room with"):
        vocabulary.appended(range_names(9), order, vectors)
    grown = full.with_reserve(1)
    assert grown.input_dim == full.input_dim + 8
    assert grown.appended(["later"], order, vectors[:1]).ids("later") % 8 == 2


def range_names(count: int) -> list[str]:
    return [f"new {number}" for number in range(count)]


def test_wrong_later_items_are_named():
    vocabulary, order = ordered()
    one = order.centres[:1]
    for arguments, words in [
        ((["item 3"], order, one), r"must be new. Received: known=\['item 3'\]"),
        ((["a", "b"], order, one), "a row for each item. Received: vectors=1, items=2"),
        ((["a"], order, one[:, :3]), r"must be `\[n, 6\]`"),
        ((["a"], order, one * np.nan), "must be finite. Received: item=0"),
        ((["a", "a"], order, order.centres[:2]), "must be distinct"),
        ((["a"], similarity_order(VECTORS, 7, first_id=2), one), "was reordered by"),
        (([3], order, one), "must be of one kind"),
    ]:
        with pytest.raises(ValueError, match=words):
            vocabulary.appended(*arguments)
    with pytest.raises(ValueError, match="`reserve` must be a positive integer"):
        similarity_order(VECTORS, 8, reserve=-1)
    with pytest.raises(ValueError, match="must be ordered by similarity"):
        Vocabulary(["a"]).with_reserve(1)


def test_an_order_is_saved_whole(tmp_path):
    _, order = ordered()
    path = tmp_path / "order.npz"
    order.save(path)
    again = SimilarityOrder.load(path)
    assert str(again) == str(order)
    assert (again.first_id, again.reserve, again.input_dim) == (2, 2, order.input_dim)
    np.testing.assert_array_equal(again.ids, order.ids)
    np.testing.assert_array_equal(again.centres, order.centres)
    assert [file.name for file in tmp_path.iterdir()] == ["order.npz"]
    for damaged in (path.read_bytes()[:-40], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"an order saved by memcom_tf.*order\.npz"):
            SimilarityOrder.load(path)


# Evaluation.


def test_free_ids_are_not_among_the_candidates():
    scores = np.array([[9.0, 0.5, 0.1, 0.9, 0.9]])
    assert ranks_from_scores(scores, [[0]], [1]).tolist() == [3.0]
    assert ranks_from_scores(scores, [[0]], [1], free_ids=[3]).tolist() == [2.0]
    assert ranks_from_scores(scores, [[0]], [1], free_ids=[3, 4]).tolist() == [1.0]
    with pytest.raises(ValueError, match=r"must be an item\. Received: example=0, target=3"):
        ranks_from_scores(scores, [[0]], [3], free_ids=[3])


def test_a_split_knows_the_free_ids_of_its_vocabulary():
    vocabulary, _ = ordered()
    log = Interactions(user=np.repeat(np.arange(4), 5), item=np.array(NAMES[:20]))
    split = leave_last_out(log, history_length=3, vocabulary=vocabulary)
    np.testing.assert_array_equal(split.test.free_ids, vocabulary.free_ids)
    scores = np.zeros(vocabulary.input_dim)
    scores[vocabulary.free_ids] = 1.0
    scores[split.test.target] = 0.5
    found = evaluate_ranking(lambda history: np.tile(scores, (len(history), 1)), split.test, k=4)
    assert found["recall@4"] == 1.0


# The ranker.


def ranker(vocabulary: Vocabulary, **kwargs: object) -> NextItemRanker:
    table = MEmComEmbedding(vocabulary.input_dim, 4, num_buckets=8)
    return NextItemRanker(table, history_length=3, vocabulary=vocabulary, **kwargs)


def sparse() -> Vocabulary:
    """Free ids between items, and at the end."""
    vocabulary, order = ordered()
    return vocabulary.appended(["a", "b"], order, order.centres[[1, 6]])


def test_a_ranker_scores_free_ids_below_all_items():
    vocabulary = sparse()
    model = ranker(vocabulary)
    scores = np.array(model(np.array([[2, 3, 0]])))[0]
    free = np.isin(np.arange(vocabulary.input_dim), vocabulary.free_ids)
    assert scores[free].max() < scores[~free].min()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("num_negatives", [None, 30])
def test_training_leaves_free_ids_alone(num_negatives):
    vocabulary = sparse()
    model = ranker(vocabulary, num_negatives=num_negatives)
    model.compile("sgd")
    history = np.array([[2, 3, 4], [5, 6, 0]] * 8)
    model.fit(history, np.array([7, 8] * 8), epochs=2, verbose=0)
    for values in (model.item_embedding.table_values()["multiplier"], bias_of(model)):
        untouched = values[vocabulary.free_ids]
        assert (untouched == untouched[0]).all()
        assert (values[vocabulary.ids(NAMES[:20])] != untouched[0]).any()


def bias_of(model: NextItemRanker) -> np.ndarray:
    return model.embeddings[-1].table_values()["embeddings"]


def test_negatives_are_items_all_alike():
    drawn, number = draw_ids(9000, 10, np.array([5, 6, 8]))
    counts = np.bincount(np.asarray(drawn), minlength=10)
    assert number == 6
    assert counts[[0, 5, 6, 8]].tolist() == [0] * 4
    assert counts[[1, 2, 3, 4, 7, 9]].min() > 1200
    drawn, number = draw_ids(100, 10, np.array([8, 9]))
    assert (number, np.asarray(drawn).max()) == (7, 7)


@pytest.mark.parametrize("item_bias", [True, False])
def test_a_file_ranks_no_free_ids(tmp_path, item_bias):
    from memcom_tf.converters import CompressedModelFile, convert
    from memcom_tf.converters.inspection.golden import differences, golden

    vocabulary = sparse()
    model = ranker(vocabulary, item_bias=item_bias)
    model.build((None, 3))
    tables = model.item_embedding.table_values()
    tables["multiplier"][vocabulary.free_ids] = 9.0  # so that they would be the best of all
    tables["shared"] = RNG.normal(size=tables["shared"].shape)
    model.item_embedding.assign_tables(tables)
    conversion = convert(model, k=42 - 3)
    assert conversion.verification.passed
    conversion.save(tmp_path / "ranker.tflite")
    file = CompressedModelFile(tmp_path / "ranker.tflite")
    history = vocabulary.ids(["item 1", "a", "item 7"])
    ids, _ = file.rank(history)
    assert set(ids) == set(vocabulary.ids([*NAMES, "a", "b"])) - set(history)
    document = golden(file)
    assert not differences(document, file)
    assert not {*document["embed"]["ids"]} & {*vocabulary.free_ids}
    with pytest.raises(ValueError, match=f"id={vocabulary.free_ids[0]}"):
        file.rank([vocabulary.free_ids[0]])


def test_the_shortcut_to_the_best_ids_is_not_taken_where_there_are_free_ids():
    """MEmCom without biases finds them without scoring all, but knows no free ids."""
    from memcom_tf.converters import convert

    order = similarity_order(RNG.normal(size=(80, 6)), 40, reserve=1)
    vocabulary = Vocabulary(range(80)).reordered(order)
    table = MEmComEmbedding(vocabulary.input_dim, 4, num_buckets=40)
    model = NextItemRanker(table, history_length=3, vocabulary=vocabulary, item_bias=False)
    model.build((None, 3))
    tables = table.table_values()
    tables["multiplier"][vocabulary.free_ids] = 9.0
    table.assign_tables(tables)
    assert table.find_top_k(np.ones((1, 4), np.float32), 25) is not None
    assert convert(model, k=2).verification.passed


def test_a_ranker_without_free_ids_is_as_it_was():
    vocabulary, _ = ordered(reserve=1)
    assert ranker(vocabulary).free_ids.size == 8
    table = FullEmbedding(9, 4)
    assert NextItemRanker(table, history_length=3).free_ids.size == 0
