"""Integers of a file are those of the model, but where the scores behind them are equal."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.converters.tracing.decisions import decision_behind, undecided

SCORES = np.array([[0.1, 0.9, 0.5, 0.5004], [3.0, 1.0, 2.0, 2.5]], np.float32)
TOLERANCE = 0.01


def graph_of(compute):
    """Nodes, the output's tensor, and a function of any tensor of the graph."""
    function = tf.function(compute, input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    concrete = function.get_concrete_function()
    nodes = {node.name: node for node in concrete.graph.as_graph_def().node}

    def values(names):
        with tf.compat.v1.Session(graph=concrete.graph) as session:
            return dict(zip(names, session.run(names, {"x:0": SCORES}), strict=True))

    return nodes, concrete.outputs[0].op.inputs[0].name, values


def judged(compute, change):
    nodes, output, values = graph_of(compute)
    decision = decision_behind(nodes, output)
    assert decision is not None
    fetched = values([*decision.fetched, output])
    wanted = fetched[output]
    return undecided(decision, fetched, wanted, change(np.array(wanted)), TOLERANCE)


def swapped(found):
    found[0, [1, 2]] = found[0, [2, 1]]
    return found


def other(found):
    found[1, 0] = found[1, 1]
    return found


WAYS = {
    "top k": lambda x: tf.math.top_k(x, 3).indices,
    "ids by places": lambda x: tf.gather(tf.constant([7, 5, 9, 4]), tf.math.top_k(x, 3).indices),
    "shifted and turned": lambda x: tf.transpose(tf.transpose(tf.math.top_k(x, 3).indices + 100)),
    "cast and reshaped": lambda x: tf.reshape(
        tf.cast(tf.math.top_k(x, 3).indices, tf.int64) * 3, [-1, 3]
    ),
    "sliced": lambda x: tf.math.top_k(x, 4).indices[:, :3],
}


@pytest.mark.parametrize("way", WAYS)
def test_ids_of_nearly_equal_scores_may_change_places_and_no_others(way):
    """Of the first row the second and the third score differ by 0.0004; all others by far more."""
    assert judged(WAYS[way], swapped)[0, 1:3].all()
    assert not judged(WAYS[way], other)[1, 0]


def test_an_id_that_nothing_has_is_wrong():
    assert not judged(WAYS["ids by places"], lambda found: found * 0 - 5).any()


def test_the_class_of_equal_scores():
    def argmax(x):
        return tf.argmax(-tf.abs(x - 0.5002), axis=-1, output_type=tf.int32)

    # 2 and 3 of the first row are equally far from 0.5002; in the second none is like another.
    ties = judged(argmax, lambda found: np.array([5 - found[0], found[1] ^ 1]))
    assert ties.tolist() == [True, False]


def test_a_score_at_the_threshold():
    def above(x):
        return x > 0.5002

    ties = judged(above, np.logical_not)
    assert ties.tolist() == [[False, False, True, True], [False] * 4]


def test_a_number_next_to_the_one_that_it_is_cast_to():
    def cast(x):
        return tf.cast(x * 2.0, tf.int32)

    ties = judged(cast, lambda found: found - 1)
    # 2 * 0.5 may be 0.999, and so may 2 * 1, 2 * 2 and 2 * 3; 0.2, 1.8 and 5 are far from a step.
    assert ties.tolist() == [[False, False, True, True], [True, True, True, True]]


def test_integers_of_no_scores_have_no_ties():
    function = tf.function(
        lambda x: x + 1, input_signature=[tf.TensorSpec([None], tf.int32, "x")]
    ).get_concrete_function()
    nodes = {node.name: node for node in function.graph.as_graph_def().node}
    assert decision_behind(nodes, function.outputs[0].name) is None
