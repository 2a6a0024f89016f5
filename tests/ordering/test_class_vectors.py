"""Vectors of words by classes: the weights of naive Bayes, and what they put together."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.naive_bayes import MultinomialNB

from memcom_tf.ordering import class_vectors, similarity_order


def occurrences(seed=0, documents=60, items=30):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, documents, 900),
        rng.integers(0, items, 900),
        rng.integers(0, 3, documents),
    )


def test_they_are_the_weights_of_naive_bayes_of_a_class_against_the_others():
    document, item, label = occurrences()
    found = class_vectors(document, item, label, 30, smoothing=0.7)
    counts = np.zeros((60, 30))
    np.add.at(counts, (document, item), 1)
    for number in range(3):
        bayes = MultinomialNB(alpha=0.7).fit(counts, label == number)
        wanted = bayes.feature_log_prob_[1] - bayes.feature_log_prob_[0]
        np.testing.assert_allclose(found[:, number], wanted, rtol=1e-5, atol=1e-6)


def test_words_of_one_class_share_rows():
    """Two words of each of eight classes, in eight buckets."""
    document = np.repeat(np.arange(80), 2)
    label = np.arange(80) % 8
    item = (2 * label[document] + np.tile([0, 1], 80)).astype(int)
    vectors = class_vectors(document, item, label, 16)
    order = similarity_order(vectors, 8)
    buckets = order.buckets(order.ids)
    assert (buckets[::2] == buckets[1::2]).all()


def test_labels_may_be_names():
    document, item, label = occurrences()
    names = np.array(["a", "b", "c"])[label]
    np.testing.assert_array_equal(
        class_vectors(document, item, names, 30), class_vectors(document, item, label, 30)
    )


@pytest.mark.parametrize(
    ("arguments", "must"),
    [
        (([], [], [0, 1], 3), "with n > 0"),
        (([0], [3], [0, 1], 3), "`item` must hold integers in .0, 3"),
        (([2], [0], [0, 1], 3), "`document` must hold integers in .0, 2"),
        (([0], [0], [1, 1], 3), "two classes or more"),
        (([0.5], [0], [0, 1], 3), "`document` must hold integers"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, must):
    with pytest.raises(ValueError, match=must):
        class_vectors(*arguments)
