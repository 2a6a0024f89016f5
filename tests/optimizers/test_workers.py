"""Workers in processes of their own make the steps of one process on the whole batch."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from memcom_tf.kernels.status import status_of_ops
from tests import workers
from tests.optimizers.worker import train

CASES = ["ranker/adam", "layers/rowwise", "layers/nesterov", "clicks/adam"]


@pytest.mark.long
@pytest.mark.parametrize("ops", ["native", "reference"])
def test_two_workers_are_one_process(ops, tmp_path, monkeypatch):
    monkeypatch.setenv("MEMCOM_TF_OPS", ops)
    if ops == "native" and status_of_ops().implementation != "native":
        pytest.skip(status_of_ops().reason)
    cases = [f"{ops}/{case}" for case in CASES]
    printed = workers.run(["-m", "tests.optimizers.worker", *cases], tmp_path)
    assert not any("plain TensorFlow ops" in text for text in printed), printed
    for case in CASES:
        alone = train(case, tf.distribute.get_strategy())
        name = f"{ops}/{case}.npz".replace("/", "_")
        one, other = (dict(np.load(tmp_path / f"worker_{n}" / name)) for n in (0, 1))
        for key, value in alone.items():
            np.testing.assert_array_equal(one[key], other[key], err_msg=f"{case} {key}")
            np.testing.assert_allclose(one[key], value, rtol=1e-4, atol=1e-5, err_msg=case)
        assert alone["is_fused"] == one["is_fused"] == (ops == "native")
