"""Codebooks: what the search finds, the least squares behind it, and codes chosen anew."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from memcom_tf.approximation import codebooks
from memcom_tf.layers import ProductQuantizedEmbedding, ResidualQuantizedEmbedding

RNG = np.random.default_rng(3)
TABLE = (RNG.normal(size=(900, 6)) @ RNG.normal(size=(6, 16))).astype(np.float32)
TABLE += RNG.normal(scale=0.3, size=TABLE.shape).astype(np.float32)
ONES = np.ones(len(TABLE), np.float32)


def error(table, vectors, weights=1.0, metric=None):
    """Weighted mean of `e^T metric e`."""
    difference = np.asarray(vectors, np.float64) - table
    seen = difference if metric is None else difference @ metric
    return float((weights * (seen * difference).sum(axis=1)).mean())


def planted(num_codebooks, num_codes, scale):
    """Sums of rows of books, each a tenth as long as those of the book before."""
    rng = np.random.default_rng(5)
    books = rng.normal(size=(num_codebooks, num_codes, 12))
    books *= scale ** np.arange(num_codebooks)[:, None, None]
    codes = rng.integers(0, num_codes, (600, num_codebooks))
    return sum(book[column] for book, column in zip(books, codes.T, strict=True))


@pytest.mark.parametrize("num_codes", [7, 16])
def test_planted_sums_are_found(num_codes):
    table = planted(2, num_codes, scale=0.1)
    layer = ResidualQuantizedEmbedding.from_table(table, num_codebooks=2, num_codes=num_codes)
    np.testing.assert_allclose(layer(np.arange(len(table))), table, atol=1e-4)
    table = planted(3, num_codes, scale=0.1)
    layer = ResidualQuantizedEmbedding.from_table(table, num_codebooks=3, num_codes=num_codes)
    assert error(table, layer(np.arange(len(table)))) < 1e-4 * (table**2).sum(axis=1).mean()


def test_planted_sums_with_a_vector_for_each_bucket_are_found():
    table = planted(2, 8, scale=0.1)
    table += np.random.default_rng(6).normal(scale=10, size=(5, 12))[np.arange(len(table)) % 5]
    layer = ResidualQuantizedEmbedding.from_table(
        table, num_codebooks=2, num_codes=8, num_buckets=5
    )
    assert error(table, layer(np.arange(len(table)))) < 1e-4 * (table**2).sum(axis=1).mean()


def test_planted_cuts_are_found():
    rng = np.random.default_rng(5)
    books, codes = rng.normal(size=(4, 13, 3)), rng.integers(0, 13, (500, 4))
    table = np.concatenate([books[k][codes[:, k]] for k in range(4)], axis=1)
    layer = ProductQuantizedEmbedding.from_table(table, num_codebooks=4, num_codes=13)
    np.testing.assert_allclose(layer(np.arange(500)), table, atol=1e-5)


def greedy(table, num_codebooks, num_codes):
    """Plain residual quantization: the nearest centroid, stage by stage."""
    rest = table
    for stage in range(num_codebooks):
        book = codebooks.k_means(rest, ONES, num_codes, stage)
        rest = rest - book[codebooks.nearest(rest, book)]
    return table - rest


@pytest.mark.parametrize("num_codebooks", [2, 4])
def test_refinement_lowers_the_error_of_greedy_stages(num_codebooks):
    layer = ResidualQuantizedEmbedding.from_table(TABLE, num_codebooks=num_codebooks, num_codes=16)
    before = error(TABLE, greedy(TABLE, num_codebooks, 16))
    assert error(TABLE, layer(np.arange(len(TABLE)))) < 0.95 * before


def test_no_round_raises_the_error():
    errors = [
        error(TABLE, codebooks.composed(codebooks.residual(TABLE, ONES, 4, 16, rounds=n), None))
        for n in range(5)
    ]
    assert sorted(errors, reverse=True) == errors
    assert errors[-1] < errors[0]


@pytest.mark.parametrize("num_groups", [None, 9])
def test_least_squares_is_the_solution_of_the_dense_system(num_groups):
    rng = np.random.default_rng(8)
    codes = rng.integers(0, 5, (len(TABLE), 3)).astype(np.uint8)
    weights = rng.uniform(0, 2, len(TABLE)).astype(np.float32)
    weights[:40] = 0
    groups = None
    design = [np.eye(5)[column] for column in codes.T]
    if num_groups:
        groups = codebooks.Groups(rng.integers(0, num_groups, len(TABLE)), num_groups)
        design.append(np.eye(num_groups)[groups.of_row])
    rows = np.concatenate(design, axis=1)
    root = np.sqrt(weights)[:, None]
    expected = rows @ np.linalg.lstsq(rows * root, TABLE * root, rcond=None)[0]
    start = codebooks.Residual(codes, np.zeros((3, 5, 16), np.float32), None)
    found = codebooks.least_squares(TABLE, weights, start, groups)
    np.testing.assert_allclose(codebooks.composed(found, groups), expected, atol=1e-4)


def test_errors_that_the_metric_does_not_see_are_free():
    queries = np.random.default_rng(9).normal(size=(500, 3)) @ np.eye(16)[[1, 6, 11]]
    metric = queries.T @ queries / 500
    ids = np.arange(len(TABLE))
    for method, size in [(ResidualQuantizedEmbedding, 2), (ProductQuantizedEmbedding, 4)]:
        plain, aware = (
            method.from_table(TABLE, num_codebooks=size, num_codes=16, metric=m)(ids)
            for m in (None, metric)
        )
        assert error(TABLE, aware, metric=metric) < 0.5 * error(TABLE, plain, metric=metric)
        assert error(TABLE, aware) > error(TABLE, plain)
        assert np.isfinite(aware).all()


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (np.eye(15), r"`metric` must be `\[output_dim, output_dim\]`.*metric=\(15, 15\)"),
        (np.full((16, 16), np.nan), "finite and symmetric"),
        (np.triu(np.ones((16, 16))), "finite and symmetric"),
        (-np.eye(16), "positive semi-definite"),
        (np.zeros((16, 16)), "positive semi-definite, and not zero"),
    ],
)
def test_what_is_no_metric_is_refused(metric, words):
    with pytest.raises(ValueError, match=words):
        ResidualQuantizedEmbedding.from_table(TABLE, num_codebooks=2, metric=metric)


def test_methods_that_take_no_metric_say_so():
    from memcom_tf.layers import HashedEmbedding

    with pytest.raises(ValueError, match="`metric` must be None for HashedEmbedding"):
        HashedEmbedding.from_table(TABLE, num_buckets=20, metric=np.eye(16))


def test_low_rank_keeps_the_directions_that_the_metric_weighs():
    from memcom_tf.layers import LowRankEmbedding

    metric = np.diag([1e4] * 3 + [1.0] * 13)
    layer = LowRankEmbedding.from_table(TABLE, rank=3, metric=metric)
    error = np.abs(np.asarray(layer(np.arange(len(TABLE)))) - TABLE).mean(axis=0)
    assert error[:3].max() < 0.1 * error[3:].min()


@pytest.mark.parametrize("method", [ResidualQuantizedEmbedding, ProductQuantizedEmbedding])
def test_encode_finds_the_nearest_of_all_codes(method):
    layer = method(60, 4, num_codebooks=2, num_codes=3)
    table = np.random.default_rng(4).normal(scale=0.05, size=(60, 4)).astype(np.float32)
    codes = layer.encode(table)
    assert codes.dtype == np.uint8 and codes.max() < 3
    choices = []
    for choice in itertools.product(range(3), repeat=2):
        tables = {**layer.table_values(), "codes": np.tile(np.uint8(choice), (60, 1))}
        layer.assign_tables(tables)
        choices.append(((np.asarray(layer(np.arange(60))) - table) ** 2).sum(axis=1))
    changed = layer.reassign(table)
    distances = ((np.asarray(layer(np.arange(60))) - table) ** 2).sum(axis=1)
    np.testing.assert_allclose(distances, np.min(choices, axis=0), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(layer.table_values()["codes"], codes)
    assert 0 < changed <= 1
    assert layer.reassign(table) == 0


def test_buckets_are_left_out_of_what_is_encoded():
    layer = ResidualQuantizedEmbedding.from_table(
        TABLE, num_codebooks=3, num_codes=16, num_buckets=30
    )
    vectors = np.asarray(layer(np.arange(len(TABLE))))
    layer.reassign(vectors)
    np.testing.assert_allclose(layer(np.arange(len(TABLE))), vectors, atol=1e-5)


def test_the_same_table_gives_the_same_layer():
    first, second = (
        ResidualQuantizedEmbedding.from_table(TABLE, num_codebooks=3, num_codes=16).table_values()
        for _ in range(2)
    )
    for name, table in first.items():
        np.testing.assert_array_equal(table, second[name])


def test_fewer_rows_than_codes_are_exact():
    for method in (ResidualQuantizedEmbedding, ProductQuantizedEmbedding):
        layer = method.from_table(TABLE[:9], num_codebooks=2, num_codes=20)
        np.testing.assert_allclose(layer(np.arange(9)), TABLE[:9], atol=1e-4)


def test_an_id_without_weight_gets_the_nearest_codes():
    frequencies = np.ones(len(TABLE))
    frequencies[::2] = 0
    layer = ResidualQuantizedEmbedding.from_table(
        TABLE, num_codebooks=3, num_codes=16, frequencies=frequencies
    )
    distances = ((np.asarray(layer(np.arange(len(TABLE)))) - TABLE) ** 2).sum(axis=1)
    assert distances[::2].mean() < 0.5 * (TABLE[::2] ** 2).sum(axis=1).mean()
    with pytest.raises(ValueError, match="`frequencies` must not all be 0"):
        ResidualQuantizedEmbedding.from_table(TABLE, num_codebooks=1, frequencies=0 * frequencies)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.full((60, 2), 3), r"integers in \[0, 3\).*largest=3"),
        (np.full((60, 2), -1), r"integers in \[0, 3\).*smallest=-1"),
        (np.full((60, 2), 0.5), r"integers in \[0, 3\).*dtype='float64'"),
        (np.zeros((59, 2), np.uint8), r"'codes' must be \(60, 2\).*shape=\(59, 2\)"),
    ],
)
def test_codes_that_choose_no_row_are_refused_and_nothing_changes(codes, words):
    layer = ResidualQuantizedEmbedding(60, 4, num_codebooks=2, num_codes=3)
    before = layer.table_values()
    changed = {name: table + 1 for name, table in before.items() if name != "codes"}
    with pytest.raises(ValueError, match=words):
        layer.assign_tables({**changed, "codes": codes})
    for name, table in before.items():
        np.testing.assert_array_equal(layer.table_values()[name], table)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_codes": 1}, r"`num_codes` must be in \[2, 256\]"),
        ({"num_codes": 257}, r"`num_codes` must be in \[2, 256\]"),
        ({"num_codebooks": 0}, "`num_codebooks` must be a positive integer"),
    ],
)
def test_sizes_out_of_range_are_named(arguments, words):
    for method in (ResidualQuantizedEmbedding, ProductQuantizedEmbedding):
        with pytest.raises(ValueError, match=words):
            method(**{"input_dim": 60, "output_dim": 4, "num_codebooks": 2, **arguments})


def test_cuts_must_be_of_one_width():
    with pytest.raises(ValueError, match="`num_codebooks` must be a divisor of `output_dim`"):
        ProductQuantizedEmbedding(60, 4, num_codebooks=3)


@pytest.mark.parametrize("table", [TABLE[:, :4], TABLE[:60], np.full((60, 4), np.nan)])
def test_what_cannot_be_encoded_is_refused(table):
    layer = ResidualQuantizedEmbedding(60, 4, num_codebooks=2, num_codes=3)
    with pytest.raises(ValueError, match=r"`table` must be \(60, 4\), finite"):
        layer.encode(table)


def test_new_layers_differ_in_the_codes_of_their_ids():
    layer = ResidualQuantizedEmbedding(5000, 4, num_codebooks=4, num_codes=32)
    codes = layer.encode(layer(np.arange(5000)))  # builds it
    codes = layer.table_values()["codes"]
    assert len(np.unique(codes, axis=0)) > 4900
    assert all(np.bincount(column, minlength=32).min() > 100 for column in codes.T)


def test_without_the_libraries_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"choose codebooks.*pip install \"memcom_tf\[order\]\""):
        ProductQuantizedEmbedding.from_table(TABLE, num_codebooks=4)


@pytest.mark.parametrize("method", [ProductQuantizedEmbedding, ResidualQuantizedEmbedding])
def test_codes_of_one_book_stay_bytes_in_a_file(method):
    from memcom_tf.converters import convert
    from memcom_tf.models import NextItemRanker

    ranker = NextItemRanker(method(600, 8, num_codebooks=1), history_length=4)
    ranker.build_once()
    assert convert(ranker, k=5).verification.passed


@pytest.mark.parametrize("grouped", [False, True])
def test_a_sample_of_many_rows_is_refined_nearly_as_well(grouped, monkeypatch):
    # Half of the rows are as good as the whole: their groups and their rare, heavy rows count.
    weights = np.where(np.arange(len(TABLE)) % 100, 0.1, 30.0).astype(np.float32)
    groups = codebooks.Groups(np.arange(len(TABLE)) % 9, 9) if grouped else None

    def found(rows):
        monkeypatch.setattr(codebooks, "_REFINED_ROWS", rows)
        made = codebooks.residual(TABLE, weights, 3, 16, groups)
        return error(TABLE, codebooks.composed(made, groups), weights)

    staged = codebooks.residual(TABLE, weights, 3, 16, groups, rounds=0)
    unrefined = error(TABLE, codebooks.composed(staged, groups), weights)
    whole, sampled = found(len(TABLE)), found(len(TABLE) // 2)
    assert whole < sampled < whole + 0.6 * (unrefined - whole)
