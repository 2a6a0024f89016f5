"""Graphs that make kernels crash: refused, or run where their end is an error message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile, convert
from memcom_tf.converters.graph_check.check import check
from memcom_tf.converters.graph_check.flatbuffer import DamagedError
from memcom_tf.converters.graph_check.graph import read_graph
from memcom_tf.converters.graph_check.known_graph import is_known_to_be_safe
from memcom_tf.converters.model_file.archive import DESCRIPTION
from memcom_tf.converters.model_file.interpreters import GraphEndedError, InChild, InProcess
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker
from tests.damage import Sample, appended
from tests.graph_building import graph_of, packed

ROOT = Path(__file__).parents[2]
FLOAT, HALF, INT32, UINT8, INT64, BOOL, INT16, INT8 = 0, 1, 2, 3, 4, 6, 7, 9
ADD, SPLIT, RESHAPE, GATHER, STRIDED_SLICE, UNPACK, PACK, CONV_2D = 0, 49, 22, 36, 45, 88, 83, 3
FLOOR_DIV, FLOOR_MOD, FILL, ONE_HOT, NOT_EQUAL, MUL, TRANSPOSE, SUM = 90, 95, 94, 85, 72, 18, 39, 74
FULLY_CONNECTED = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    for name, table, kind, profile in (
        ("memcom", MEmComEmbedding(40, 4, num_buckets=10), "int8", "portable"),
        ("full", FullEmbedding(40, 4), "int4", "litert"),
    ):
        model = NextItemRanker(table, history_length=3)
        model.build((None, 3))
        convert(model, k=4, weights=kind, profile=profile, verify=False).save(
            folder / f"{name}.tflite"
        )
        sample = Sample((folder / f"{name}.tflite").read_bytes())
        (folder / f"{name}.graph").write_bytes(sample.graph)
    return folder


def file_of(model, folder, tmp_path) -> Path:
    """A file whose graph is this one."""
    members = Sample((folder / "memcom.tflite").read_bytes()).members
    graph = packed(model)
    description = json.loads(members[DESCRIPTION])
    description |= {"kind": "model", "signatures": ["s"], "vector_signatures": []}
    description["graph_crc32"] = zlib.crc32(graph)
    path = tmp_path / "hostile.tflite"
    path.write_bytes(appended(graph, {**members, DESCRIPTION: json.dumps(description).encode()}))
    return path


def inputs_of(file):
    found = file.graph.signatures["s"]
    tensors = file.graph.subgraphs[0].tensors
    return {
        name: np.ones([abs(n) for n in tensors[place].shape], tensors[place].dtype)
        for name, place in found.inputs.items()
    }


def options(name, **values):
    made = getattr(schema, f"{name}T")()
    for key, value in values.items():
        setattr(made, key, value)
    return getattr(schema.BuiltinOptions, name), made


def axis(value):
    return (INT32, [], np.array(value, np.int32))


# Operators, what they take and give. All of them end the process of the runtime, or read what is
# not theirs: a file of them must be refused or answered in words.
HOSTILE = {
    "int8 without a scale": (ADD, [(INT8, [2]), (INT8, [2])], [(INT8, [2])], options("AddOptions")),
    "int16 without a scale": (
        MUL,
        [(INT16, [2]), (INT16, [2])],
        [(INT16, [2])],
        options("MulOptions"),
    ),
    "bytes without a scale": (
        ADD,
        [(UINT8, [2]), (UINT8, [2])],
        [(UINT8, [2])],
        options("AddOptions"),
    ),
    "parts without options": (SPLIT, [axis(0), (FLOAT, [4])], [(FLOAT, [2])] * 2, (0, None)),
    "parts of another number": (
        *(SPLIT, [axis(0), (FLOAT, [4])], [(FLOAT, [2])] * 2),
        options("SplitOptions", numSplits=7),
    ),
    "parts of no axis": (
        *(SPLIT, [axis(9), (FLOAT, [4])], [(FLOAT, [2])] * 2),
        options("SplitOptions", numSplits=2),
    ),
    "rows of another number": (
        *(UNPACK, [(FLOAT, [4, 2])], [(FLOAT, [2])] * 2),
        options("UnpackOptions", num=2, axis=0),
    ),
    "rows of no axis": (
        *(PACK, [(FLOAT, [2]), (FLOAT, [2])], [(FLOAT, [2, 2])]),
        options("PackOptions", valuesCount=2, axis=9),
    ),
    "a choice of no axis": (
        *(GATHER, [(FLOAT, [4, 2]), (INT32, [2])], [(FLOAT, [2, 2])]),
        options("GatherOptions", axis=7),
    ),
    "batches that are not there": (
        *(GATHER, [(FLOAT, [4, 2]), (INT32, [2])], [(FLOAT, [2, 2])]),
        options("GatherOptions", axis=1, batchDims=5),
    ),
    "the least integer over -1": (
        *(FLOOR_DIV, [(INT32, [1], np.array([-(2**31)], np.int32))], [(INT32, [1])], (0, None)),
    ),
    "sizes beyond memory": (
        FILL,
        [(INT32, [3], np.full(3, 10**6, np.int32)), (FLOAT, [])],
        [(FLOAT, [1])],
        (0, None),
    ),
    "no such place": (
        *(TRANSPOSE, [(FLOAT, [2, 2]), (INT32, [2], np.array([0, 99], np.int32))]),
        *([(FLOAT, [2, 2])], (0, None)),
    ),
    "a kernel of no rank": (
        *(CONV_2D, [(FLOAT, [4]), (FLOAT, [4]), (FLOAT, [1])], [(FLOAT, [4])]),
        options("Conv2DOptions", strideW=0, strideH=0),
    ),
    "a product without columns": (
        *(FULLY_CONNECTED, [(FLOAT, [2, 3]), (FLOAT, [4], np.ones(4, np.float32))]),
        *([(FLOAT, [2, 4])], options("FullyConnectedOptions")),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_graph_is_an_error_message(case, folder, tmp_path):
    code, takes, gives, (kind, chosen) = HOSTILE[case]
    if case == "the least integer over -1":
        takes = [*takes, (INT32, [1])]
    path = file_of(graph_of(code, takes, gives, kind, chosen), folder, tmp_path)
    try:
        file = CompressedModelFile(path)
        assert isinstance(file._interpreter, InChild)
        inputs = {k: -v if v.dtype == np.int32 else v for k, v in inputs_of(file).items()}
        for given in (inputs, inputs_of(file)):
            file.run("s", **given)
    except ValueError as error:
        assert " must " in str(error)


def test_the_end_of_a_child_is_told_and_the_next_call_starts_another(folder, tmp_path):
    code, takes, gives, (kind, chosen) = HOSTILE["parts without options"]
    file = CompressedModelFile(
        file_of(graph_of(code, takes, gives, kind, chosen), folder, tmp_path)
    )
    for _ in range(2):
        with pytest.raises(
            GraphEndedError, match=r"kernel ended the process that ran it \(SIG\w+\)"
        ):
            file.run("s", **inputs_of(file))


def test_a_graph_that_ends_its_process_is_not_measured(folder, tmp_path):
    code, takes, gives, (kind, chosen) = HOSTILE["parts without options"]
    path = file_of(graph_of(code, takes, gives, kind, chosen), folder, tmp_path)
    assert main(["inspect", str(path), "--measure"]) == 2
    assert main(["compare", str(folder / "memcom.tflite"), str(path)]) == 2


def test_graphs_run_alike_in_both_places(folder):
    for name in ("memcom", "full"):
        path = folder / f"{name}.tflite"
        file = CompressedModelFile(path)
        assert isinstance(file._interpreter, InProcess)
        child = InChild(path, 1)
        ids = {"ids": np.arange(40, dtype=np.int32)}
        assert np.array_equal(
            child.run("embed", ids)["vectors"], file.run("embed", **ids)["vectors"]
        )
        with pytest.raises(RuntimeError, match=r"out of bounds|out of range|[Ii]ndex"):
            child.run("embed", {"ids": np.array([40], np.int32)})
        row = {"history": np.array([[3, 0, 0]], np.int32)}
        assert np.array_equal(child.run("rank", row)["ids"], file.rank([3])[0])


@pytest.mark.parametrize(
    ("scales", "zeros", "words"),
    [
        ([0.0], [0], "not positive"),
        ([np.nan], [0], "not positive"),
        ([-1.0], [0], "not positive"),
        ([np.inf], [0], "not positive"),
        ([1.0], [300], "zero points"),
        ([1.0], [2**40], "zero points"),
    ],
)
def test_scales_that_kernels_divide_by_are_positive(scales, zeros, words):
    model = graph_of(NOT_EQUAL, [(INT8, [2]), (INT8, [2])], [(BOOL, [2])])
    quantization = schema.QuantizationParametersT()
    quantization.scale = np.array(scales, np.float32)
    quantization.zeroPoint = np.array(zeros, np.int64)
    model.subgraphs[0].tensors[0].quantization = quantization
    with pytest.raises(DamagedError, match=words):
        read_graph(memoryview(packed(model)))


def known(*operator) -> bool:
    graph = read_graph(memoryview(packed(graph_of(*operator))))
    check(graph)
    return is_known_to_be_safe(graph)


def test_what_is_known_is_known_to_the_last_number():
    add = options("AddOptions")
    assert known(ADD, [(FLOAT, [2, 3]), (FLOAT, [3])], [(FLOAT, [2, 3])], *add)
    assert not known(ADD, [(FLOAT, [2, 3]), (FLOAT, [2])], [(FLOAT, [2, 3])], *add)
    assert not known(ADD, [(FLOAT, [2, 3]), (FLOAT, [3])], [(FLOAT, [2, 3])])
    assert not known(ADD, [(INT8, [2]), (INT8, [2])], [(INT8, [2])], *add)
    parts = ([axis(0), (FLOAT, [4])], [(FLOAT, [2])] * 2)
    assert known(SPLIT, *parts, *options("SplitOptions", numSplits=2))
    assert not known(SPLIT, *parts, *options("SplitOptions", numSplits=4))
    divisor = (INT32, [], np.array(3, np.int32))
    assert known(FLOOR_MOD, [(INT32, [2]), divisor], [(INT32, [2])])
    assert not known(FLOOR_MOD, [(INT32, [2]), (INT32, [])], [(INT32, [2])])
    rows = (INT32, [1], np.array([-1], np.int32))
    assert known(SUM, [(FLOAT, [2, 3]), rows], [(FLOAT, [2])], *options("ReducerOptions"))
    wide = [(FLOAT, [10**5, 1]), (FLOAT, [1, 10**5])]
    assert not known(ADD, wide, [(FLOAT, [1, 1])], *add)  # 40 GB, whatever the file says


def run_cases(folder, first, last):
    """What became of cases, and those that ended their process."""
    outcomes, ended = Counter(), []
    while first < last:
        words = [folder, str(first), str(last)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.hostile_graph_worker", *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
            check=False,
        )
        lines = done.stdout.splitlines()
        assert lines, f"the worker did not start: {done.returncode}"
        outcomes.update(line.split()[0] for line in lines if not line.startswith("case "))
        first = int(next(line for line in reversed(lines) if line.startswith("case "))[5:]) + 1
        if done.returncode:
            ended.append((first - 1, done.returncode))
    return outcomes, ended


@pytest.mark.parametrize("count", [400, pytest.param(40_000, marks=pytest.mark.long)])
def test_no_graph_that_is_known_ends_its_process(folder, count):
    outcomes, ended = run_cases(folder, 0, count)
    assert not ended
    assert outcomes["answered"] > count // 40
    assert outcomes["elsewhere"] > count // 40
