"""Ids outside of the vocabulary are refused by files of every method: none is folded back."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile, convert
from tests.contract.methods import CASES, INPUT_DIM, Case, name_of

NARROW = [-1, INPUT_DIM, INPUT_DIM + 1, 10**9, 2**31 - 1, -(2**31)]
WIDE = [*NARROW, 2**31, 2**32, 2**32 + 5, -(2**32) + 5, 2**62]
FOLDING = [case for case in CASES if not case.method.reads_rows_of_ids]
READING = [case for case in CASES if case.method.reads_rows_of_ids]


def model_of(case: Case) -> keras.Model:
    """Vectors of ids of 32 and of 64 bits."""
    layer = case.trained()
    inputs = [keras.Input((2,), dtype=f"int{bits}", name=f"ids{bits}") for bits in (32, 64)]
    return keras.Model(inputs, {x.name.partition(":")[0]: layer(x) for x in inputs})


def require_refusals(file: CompressedModelFile, model: keras.Model) -> None:
    inside = np.array([[0, INPUT_DIM - 1], [7, 100]])
    given = {"ids32": inside.astype(np.int32), "ids64": inside.astype(np.int64)}
    found = file.run("serving_default", **given)
    wanted = model([given["ids32"], given["ids64"]])
    # tf_keras names outputs of a SavedModel by the layer.
    for (_, values), (_, others) in zip(sorted(found.items()), sorted(wanted.items()), strict=True):
        np.testing.assert_allclose(values, np.array(others), atol=1e-4)
    for name, outside in (("ids32", NARROW), ("ids64", WIDE)):
        for bad in outside:
            ids = given[name].copy()
            ids[1, 0] = bad
            with pytest.raises(ValueError, match="The runtime must accept the input"):
                file.run("serving_default", **{**given, name: ids})


def converted(source, folder, **kwargs):
    convert(source, weights="float32", verify=False, **kwargs).save(folder / "model.tflite")
    return CompressedModelFile(folder / "model.tflite")


@pytest.mark.few(2)
@pytest.mark.parametrize("case", [*FOLDING, READING[0]], ids=name_of)
def test_a_keras_model(case, tmp_path):
    model = model_of(case)
    require_refusals(converted(model, tmp_path), model)


@pytest.mark.long
@pytest.mark.parametrize("case", READING[1:], ids=name_of)
def test_a_keras_model_whose_tables_have_a_row_for_each_id(case, tmp_path):
    model = model_of(case)
    require_refusals(converted(model, tmp_path), model)
    litert = convert(model, profile="litert", verify=False)
    litert.save(tmp_path / "litert.tflite")
    ids = np.array([[0, 2**32 + 5]])
    with pytest.raises(ValueError, match="The runtime must accept the input"):
        inputs = {"ids32": np.zeros((1, 2), np.int32), "ids64": ids}
        CompressedModelFile(tmp_path / "litert.tflite").run("serving_default", **inputs)


def saved(case, folder):
    model = model_of(case)
    if is_keras_3:
        model.export(folder, verbose=False)
    else:
        model.save(folder)
    return model


@pytest.mark.long
@pytest.mark.parametrize("case", FOLDING[:1], ids=name_of)
def test_a_saved_model(case, tmp_path):
    model = saved(case, tmp_path / "saved")
    require_refusals(converted(tmp_path / "saved", tmp_path), model)


@pytest.mark.long
@pytest.mark.parametrize("case", [*FOLDING[1:], *READING], ids=name_of)
def test_saved_models_of_other_methods(case, tmp_path):
    model = saved(case, tmp_path / "saved")
    require_refusals(converted(tmp_path / "saved", tmp_path), model)


def test_what_a_check_costs(tmp_path):
    """Three operators on the ids, and no table."""
    sizes = {}
    for are_checked in (False, True):
        case = FOLDING[0]
        model = keras.Sequential([keras.Input((2,), dtype="int32"), case.trained()])
        method = type(model.layers[-1])
        before, method.reads_rows_of_ids = method.reads_rows_of_ids, not are_checked
        try:
            report = convert(model, weights="float32", verify=False).report
        finally:
            method.reads_rows_of_ids = before
        sizes[are_checked] = report["graph_bytes"] / len(report["signatures"])
    assert 0 < sizes[True] - sizes[False] < 800
