"""The golden values hold in the process that tests them, too; and a wrong one is noticed."""

from __future__ import annotations

from memcom_tf.converters import CompressedModelFile
from memcom_tf.converters.inspection.golden import differences


def test_python_answers_the_golden_values(model, golden):
    assert differences(golden, CompressedModelFile(model)) == []


def test_a_wrong_value_is_noticed(model, golden):
    golden["cases"][1]["scores"][0] += 0.01
    golden["embed"]["vectors"][2][3] -= 0.01
    assert len(differences(golden, CompressedModelFile(model))) == 2
