"""What the benchmarks compute with; nothing here measures time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import measure
from benchmarks.common.workload import BATCH_SIZE, DISTRIBUTIONS, HISTORY_LENGTH, draw_ids
from benchmarks.ordering import __main__ as ordering
from benchmarks.ordering import case as ordering_case
from benchmarks.scale import __main__ as scale
from benchmarks.training import (
    fields,
    fields_case,
    lookup_case,
    lookup_kernels,
    op_profile,
    vocabulary_scaling,
)
from benchmarks.training import methods as training_methods
from benchmarks.training import parity as training_parity
from benchmarks.training import step as training_step
from benchmarks.training import step_case as training_case
from benchmarks.training.memory_floor import accesses
from tests.native import needs_native

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("input_dim", [1, 7, 100_000_000])
def test_ids_are_in_range_and_the_same_each_time(distribution, input_dim):
    ids = draw_ids(distribution, input_dim, num_batches=2)
    assert ids.dtype == np.int32
    assert ids.shape == (2, BATCH_SIZE, HISTORY_LENGTH)
    assert 0 <= ids.min() <= ids.max() < input_dim
    np.testing.assert_array_equal(ids, draw_ids(distribution, input_dim, num_batches=2))


def test_zipf_ids_follow_the_power_law():
    """An id's share is the integral of `x ** -1.05` over its unit of `[1, input_dim + 1)`."""
    input_dim = 50
    ids = draw_ids("zipf", input_dim, num_batches=4)
    edges = np.arange(1, input_dim + 2) ** -0.05
    shares = np.diff(edges) / (edges[-1] - edges[0])
    counted = np.bincount(ids.ravel(), minlength=input_dim) / ids.size
    np.testing.assert_allclose(counted, shares, atol=0.003)


def test_medians_and_ratios():
    assert measure.summary([3.0, 1.0, 2.00004]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    # The median of the ratios, which is not the ratio of the medians.
    assert measure.ratio([10.0, 2.0, 9.0], [1.0, 2.0, 3.0])["median"] == 3.0


def test_every_round_starts_with_another_case():
    cases = list("abcdefg")
    orders = [measure.rotated(cases, turn, 5) for turn in range(5)]
    assert len({order[0] for order in orders}) == 5
    assert all(sorted(order) == cases for order in orders)
    results = measure.in_rounds(cases, 2, lambda case: {"ms": ord(case)})
    assert results["b"] == [{"ms": 98}] * 2


@pytest.mark.parametrize(
    ("event", "part"),
    [
        ("model/embedding/Memcom>LookupAndSnapshot:Memcom>LookupAndSnapshot", "forward_op"),
        ("adam/Memcom>LookupSnapshotUpdate:Memcom>LookupSnapshotUpdate", "gradient_and_update_ops"),
        ("model/dense/MatMul:MatMul", "dense_ops"),
        ("IteratorGetNext:IteratorGetNext", None),
        ("Iterator::Root::Prefetch", None),
        ("EagerLocalExecute: AssignVariableOp", None),
    ],
)
def test_parts_of_a_profile(event, part):
    assert op_profile.part_of(event) == part


def test_the_floor_touches_every_row_once():
    ((rows, ids),) = accesses(np.array([[[7, 3], [13, 7]]]), buckets=10)
    assert rows.tolist() == [3, 7]
    assert ids.tolist() == [3, 7, 13]


def test_steps_of_methods_are_told_with_the_fastest_first():
    def results(ms, fused, ratio):
        one = {"ms": ms, "fused": fused, "peak_bytes": 10**8, "ratio": ratio}
        return [one, {**one, "ms": 1.5 * ms}]

    rounds = {
        "PrunedEmbedding": results(60.0, False, 16.2),
        "FullEmbedding": results(4.0, True, 1.0),
        "MEmComEmbedding": results(3.0, True, 16.0),
    }
    document = {
        "settings": {"input_dim": 1000, "ratio": 16.0},
        "milliseconds": {
            name: measure.summary(r["ms"] for r in found) for name, found in rounds.items()
        },
        "ratios": {
            name: measure.ratio(
                [r["ms"] for r in rounds[name]], [r["ms"] for r in rounds["FullEmbedding"]]
            )
            for name in ("PrunedEmbedding", "MEmComEmbedding")
        },
        "all_rounds": rounds,
    }
    told = training_methods.report(document).splitlines()
    lines = [line for line in told if line.split()[1:2] and line.split()[1] in rounds]
    assert [line.split()[1] for line in lines] == [
        "MEmComEmbedding",
        "FullEmbedding",
        "PrunedEmbedding",
    ]
    assert lines[0].split("|")[4].strip() == "0.75" and lines[1].split("|")[4].strip() == "-"
    assert "plain" in lines[2] and "15" in lines[2]


def test_training_step_publishes_every_case():
    profile = {
        "forward_op": 0.5,
        "gradient_and_update_ops": 1,
        "dense_ops": 0.5,
        "rest": 0,
        "step": 2,
    }
    rounds = {case: [{"ms": 50.0}, {"ms": 40.0}] for case in training_case.CASES}
    rounds["ours"] = [{"ms": 2.0, "profile": profile}] * 2
    rounds["memory_floor"] = [{"ms": 1.0, "triad_gb_per_s": 30.0}] * 2
    figures = training_step.figures(rounds)
    names = set(training_case.CASES)
    assert {f"{name}_ms" for name in names} <= set(figures)
    assert {f"{name}_over_ours" for name in names - {"ours", "no_embedding"}} <= set(figures)
    assert figures["ours_ms"] == 2.0
    assert figures["keras_over_ours"] == 22.5
    assert figures["ours_over_memory_floor"] == 2.0
    assert figures["targets"]["keras_over_ours"]["reached"]
    settings = {"input_dim": 10, "distribution": "zipf"}
    document = {**figures, "settings": settings, "memory_floor_bytes": 10**6}
    text = training_step.report(document)
    assert all(case.label in text for case in training_case.CASES.values())
    assert "1 GB/s" in text


@pytest.mark.long
def test_vocabulary_scaling_publishes_every_size():
    cases = vocabulary_scaling.cases(10**8)
    # The largest stock table and its moments would take 77 GB.
    assert "keras_lazy_adam_zipf_10m" in cases
    assert "keras_lazy_adam_zipf_100m" not in cases
    rounds = {name: [{"ms": 2.0, "peak_bytes": 10**9}] for name in cases}
    figures = vocabulary_scaling.figures(rounds)
    assert {f"{name}_ms" for name in cases} <= set(figures)
    assert figures["zipf_100m_over_1m"] == 1.0
    assert figures["targets"]["zipf_100m_over_1m"]["reached"]
    assert figures["full_table_bytes"]["100m"] == 76_800_000_000
    assert "100,000,000" in vocabulary_scaling.report(figures)


def test_an_order_that_takes_too_long_or_too_much_is_not_what_was_wanted():
    quality = {
        "share_in_nearest": 0.7,
        "mean_similarity": 0.8,
        "mean_similarity_by_chance": 0.1,
    }
    rounds = {
        "100k": [{"seconds": s, "peak_bytes": 10**9, **quality} for s in (12.0, 31.0)],
        "1m": [{"seconds": 300.0, "peak_bytes": 2 * 10**9, **quality}] * 2,
    }
    figures = ordering.figures(rounds)
    assert figures["1m_seconds"] == 300.0
    assert {name: target["reached"] for name, target in figures["targets"].items()} == {
        "100k": False,
        "1m": True,
    }
    assert "| 1,000,000 | 20,000 | 300 | 2.00 |" in ordering.report(figures)


def test_scale_publishes_every_file():
    conversion = {
        "approximation_seconds": 2.0,
        "conversion_seconds": 3.0,
        "table_bytes": 10**9,
        "bytes_before": 10**9,
        "peak_bytes": 25 * 10**9,
        "file_bytes": 10**6,
    }
    memory = dict.fromkeys(("open_ms", "anonymous_bytes", "mapped_bytes", "peak_bytes"), 10**6)
    runs = {
        f"{method}_{kind}_1": [{"milliseconds": milliseconds, **memory}]
        for method, ms in (("full", 9.0), ("memcom", 1.0))
        for kind, milliseconds in (
            ("lookup", {"serving_default": ms}),
            ("ranker", {"embed": ms, "rank": ms}),
        )
    }
    found = {
        "conversions": {name: [conversion] for name in scale.CONVERSIONS},
        "runs": runs,
        "agreement": {"common_share": 0.99},
        "items": 10,
    }
    figures = scale.figures(found, scale.CONVERSIONS)
    assert figures["rank_speedup"]["1"]["median"] == 9.0
    targets = {name: target["reached"] for name, target in figures["targets"].items()}
    assert targets == {"rank_speedup": True, "peak_bytes": False}
    text = scale.report({**figures, "calls": 5})
    assert text.count("lookup of 50 ids | 1 |") == 4
    assert text.count("rank, exact top 20 | 1 |") == 2
    assert "10,000,000 x 64, full int8" in text


def test_vectors_lie_around_topics():
    vectors = ordering_case.draw_vectors(2000, width=8)
    np.testing.assert_array_equal(vectors, ordering_case.draw_vectors(2000, width=8))
    assert vectors.std(axis=0)[0] > 1.5 * vectors.std(axis=0)[-1]


def test_lookup_kernels_publishes_every_measurement():
    names = [
        f"{pooling}_{mode}_{name}"
        for pooling in ("pooled", "unpooled")
        for mode in ("native", "reference")
        for name in lookup_case.PASSES
    ]
    rounds = {f"{method}_2": [dict.fromkeys(names, 4.0)] for method in lookup_case.METHODS}
    rounds["sparse_2"] = [{f"pooled_{name}": 8.0 for name in lookup_case.PASSES}]
    figures = lookup_kernels.figures(rounds)
    ratios = figures["ratios"]["full_2"]
    assert ratios["unpooled_plain_over_native_forward"]["median"] == 1.0
    assert ratios["pooled_tensorflow_over_native_forward_backward"]["median"] == 2.0
    text = lookup_kernels.report({**figures, "settings": {"threads": (2,), "input_dim": 10}})
    assert all(layer in text for layer in lookup_case.METHODS.values())


def test_training_parity_publishes_every_loss():
    results = {
        name: {"losses": [2.0, 1.0], "ndcg_at_10": 0.1} for name in training_parity.runs(rounds=4)
    }
    results["full/lazy_adam/reference/0"] = {"losses": [2.0, 1.25], "ndcg_at_10": 0.1}
    figures = training_parity.figures(results, rounds=4)
    assert figures["sampled_largest_relative_loss_difference"] == 0.0
    assert figures["full_largest_relative_loss_difference"] == pytest.approx(0.2)
    assert figures["sampled_adam_ndcg_at_10"] == pytest.approx(0.1)
    assert len(figures["ndcg_at_10"]["sampled"]["adam"]) == 4
    assert len(figures["ndcg_at_10"]["full"]["adam"]) == 3
    text = training_parity.report({**figures, "settings": {"epochs": 2, "examples": None}})
    assert all(label in text for label in training_parity.LOSSES.values())


@pytest.mark.long
@needs_native
def test_a_quick_run_writes_its_figures(tmp_path):
    """As a file, from another folder; two cases stand for all."""
    path = tmp_path / "figures.json"
    script = ROOT / "benchmarks" / "training_step.py"
    options = ["--quick", "--input-dim", "2000", "--cases", "ours", "no_embedding"]
    subprocess.run(
        [sys.executable, str(script), *options, "--json", str(path)], cwd=tmp_path, check=True
    )
    document = json.loads(path.read_text())
    assert document["quick"] is True
    assert {"ours_ms", "no_embedding_ms", "memory_floor_ms", "ours_over_memory_floor"} <= set(
        document
    )
    assert document["machine"]["tensorflow"]
    assert document["settings"]["input_dim"] == 2000


def test_fields_are_compared_within_a_round_and_a_distribution():
    rounds = {
        "zipf_ours": [{"ms": 10.0}, {"ms": 2.0}],
        "zipf_plain_ops": [{"ms": 20.0}, {"ms": 8.0}],
        "zipf_no_embedding": [{"ms": 1.0}, {"ms": 1.0}],
        "uniform_ours": [{"ms": 4.0}, {"ms": 4.0}],
        "uniform_plain_ops": [{"ms": 12.0}, {"ms": 12.0}],
        "uniform_no_embedding": [{"ms": 1.0}, {"ms": 1.0}],
    }
    found = fields.figures(rounds)
    assert found["times_ours"]["zipf"] == {"plain_ops": {"median": 3.0, "min": 2.0, "max": 4.0}}
    assert found["times_ours"]["uniform"]["plain_ops"]["median"] == 3.0
    text = fields.report({**found, "settings": {"input_dim": 1000}})
    assert text.count(fields_case.CASES["plain_ops"].label) == 2


def test_pairwise_runs_what_is_asked_for_and_what_it_is_compared_with():
    from benchmarks.pairwise import KINDS, LOSSES, cases

    assert len(list(cases([0, 1]))) == 2 * len(KINDS) * len(LOSSES)
    assert list(cases([3], ["compress"], ["ranknet"])) == [
        ("full", "softmax", 3),
        ("full", "ranknet", 3),
        ("compress", "ranknet", 3),
    ]
