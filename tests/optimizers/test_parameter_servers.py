"""Tables in shards, as a `ParameterServerStrategy` makes them for tf_keras."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf._keras import is_keras_3
from memcom_tf.converters import CompressedModelFile
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.ops import use
from tests import workers
from tests.optimizers.parameter_servers import trained


def test_a_table_in_shards_is_looked_up_where_its_rows_are():
    layer = MEmComEmbedding(30, 4, num_buckets=9, combiner="mean")
    ids = tf.constant([[1, 12, 29, 8], [3, 3, 4, 17]])
    with use("reference"), tf.GradientTape() as tape:
        expected = layer(ids, training=True)
        whole = tape.gradient(expected, layer.trainable_variables)
    values = layer.table_values()
    shards = {
        name: tf.__internal__.distribute.ShardedVariable(
            [tf.Variable(value[:5]), tf.Variable(value[5:])], name=name
        )
        for name, value in values.items()
    }
    layer._variables_by_name = shards
    with use("reference"), tf.GradientTape() as tape:
        found = layer(ids, training=True)
        parts = tape.gradient(found, [v for name in values for v in shards[name].variables])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert all(isinstance(part, tf.IndexedSlices) for part in parts)
    for place in range(len(values)):
        joined = np.concatenate([tf.convert_to_tensor(p) for p in parts[2 * place : 2 * place + 2]])
        assert any(
            np.allclose(joined, tf.convert_to_tensor(w), rtol=1e-5)
            for w in whole
            if w.shape == joined.shape
        )
    layer.assign_tables({name: value + 1 for name, value in values.items()})
    for name, value in layer.table_values().items():
        np.testing.assert_array_equal(value, values[name] + 1)


@pytest.mark.skipif(is_keras_3, reason="Keras 3 knows no parameter servers")
def test_two_servers_keep_the_tables_that_a_worker_trains(tmp_path):
    words = ["-m", "tests.optimizers.parameter_servers"]
    cluster = workers.cluster_of(chief=1, worker=1, ps=2)
    processes = {
        task: workers.begin(words, config, tmp_path / "".join(map(str, task)))
        for task, config in cluster.items()
    }
    chief = processes[("chief", 0)]
    try:
        printed = workers.end([chief])
    finally:
        workers.kill(list(processes.values()))
    assert chief.returncode == 0, printed
    # One worker trains in the order of the steps, as one process does.
    layer = next(of for of in trained().layers if isinstance(of, MEmComEmbedding))
    with np.load(tmp_path / "chief0" / "tables.npz") as tables:
        for name, value in layer.table_values().items():
            np.testing.assert_allclose(tables[name], value, rtol=1e-3, atol=1e-5)
    file = CompressedModelFile(tmp_path / "chief0" / "model.tflite")
    assert file.description.embeddings[0].input_dim == layer.input_dim
