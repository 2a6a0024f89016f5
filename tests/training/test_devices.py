"""Training on a GPU, where there is one, and what would keep it from going on by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.layers import MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.ops import use
from memcom_tf.optimizers import LazyAdam

WITHOUT_KERNELS = "ArgMax", "ArgMin", "Relu"
"""Of int32 a GPU has none of these: each step would wait for the CPU."""

ON_A_GPU = """
import numpy as np
import tensorflow as tf
from memcom_tf._keras import keras
from memcom_tf.layers import MEmComEmbedding
from memcom_tf.models import NextItemRanker
from memcom_tf.optimizers import LazyAdam

rng = np.random.default_rng(0)
history = rng.integers(1, 30, (64, 5)).astype(np.int32)
target = rng.integers(1, 30, 64).astype(np.int32)
found = []
for device in ("CPU:0", "GPU:0"):
    keras.utils.set_random_seed(3)
    with tf.device(device):
        model = NextItemRanker(MEmComEmbedding(30, 4, num_buckets=9), history_length=5)
        model.build_once()
        model.compile(LazyAdam(0.05))
        model.fit(history, target, batch_size=16, epochs=3, shuffle=False, verbose=0)
        table = model.item_embedding.variable("shared")
        assert device in getattr(table, "value", table).device
    found.append(model.get_weights())
for one, other in zip(*found, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
print("trained on a GPU")
"""


@pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="no GPU")
def test_plain_ops_train_on_a_gpu_as_on_the_cpu():
    env = {**os.environ, "MEMCOM_TF_OPS": "reference"}
    env.pop("CUDA_VISIBLE_DEVICES", None)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    words = [sys.executable, "-c", ON_A_GPU]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.split("\n")[-2:-1] == ["trained on a GPU"], done.stderr[-3000:]


def test_a_step_has_no_integer_ops_that_a_gpu_lacks():
    table = MEmComEmbedding(30, 4, num_buckets=9)
    model = NextItemRanker(table, history_length=5, num_negatives=8)
    model.build_once()
    model.compile(LazyAdam(0.05))
    with use("reference"):
        step = tf.function(model.train_step).get_concrete_function(
            (tf.TensorSpec([8, 5], tf.int32), tf.TensorSpec([8], tf.int32))
        )
    graph = step.graph.as_graph_def()
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    assert {"Relu", "ArgMax"} <= {node.op for node in nodes}
    integers = tf.int32.as_datatype_enum, tf.int64.as_datatype_enum
    lacking = [n.name for n in nodes if n.op in WITHOUT_KERNELS and n.attr["T"].type in integers]
    assert not lacking
    assert np.isfinite(
        model.train_step((tf.ones([8, 5], tf.int32), tf.ones([8], tf.int32)))["loss"]
    )
