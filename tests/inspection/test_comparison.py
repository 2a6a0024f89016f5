"""Files side by side: bytes, agreement, metrics, lists, and the command that prints them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import memcom_tf
from memcom_tf import Vocabulary
from memcom_tf._keras import keras
from memcom_tf.cli.main import main
from memcom_tf.converters import CompressedModelFile, compare, convert
from memcom_tf.converters.inspection.compared_lists import Agreement
from memcom_tf.converters.inspection.figures import FileFigures
from memcom_tf.converters.inspection.list_behaviour import DIFFERENCE, Users, behaviour_of
from memcom_tf.converters.inspection.measurement import THREADS
from memcom_tf.converters.inspection.summaries import best_trade_offs, sentence_of
from memcom_tf.evaluation import Examples
from memcom_tf.layers import FullEmbedding, MEmComEmbedding
from memcom_tf.models import NextItemRanker

ROOT = Path(__file__).parents[2]
ITEMS, LENGTH = 60, 4
NAMES = [f"item {i}" for i in range(ITEMS - 1)]
LEAST = dict(repeats=1)


def ranker(vocabulary, table):
    model = NextItemRanker(FullEmbedding(ITEMS, 8), history_length=LENGTH, vocabulary=vocabulary)
    model.build((None, LENGTH))
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.4, variable.shape))
    model.item_embedding.trainable_variables[0].assign(table)
    model._item_bias.trainable_variables[0].assign(np.zeros((ITEMS, 1)))
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    table = np.random.default_rng(5).normal(size=(ITEMS, 8)).astype(np.float32)
    vocabulary = Vocabulary(NAMES, counts=range(ITEMS - 1, 0, -1))
    model = ranker(vocabulary, table)
    convert(model, k=5, verify=False).save(folder / "ranker.tflite")
    convert(model, k=5, weights="float32", verify=False).save(folder / "float.tflite")
    convert(model, k=5, weights="int2", verify=False).save(folder / "coarse.tflite")
    order = np.random.default_rng(6).permutation(ITEMS - 1)
    shuffled = Vocabulary([NAMES[place] for place in order])
    moved = ranker(shuffled, np.concatenate([table[:1], table[1 + order]]))
    convert(moved, k=7, verify=False).save(folder / "shuffled.tflite")
    others = Vocabulary([*NAMES[1:], "another item"])
    convert(ranker(others, table), k=5, verify=False).save(folder / "others.tflite")
    convert(ranker(None, table), k=5, verify=False).save(folder / "nameless.tflite")
    inputs = keras.Input((3,), dtype="int32")
    vectors = MEmComEmbedding(30, 4, num_buckets=5, combiner="mean")(inputs)
    pooled = keras.Model(inputs, keras.layers.Dense(1)(vectors))
    convert(pooled, verify=False).save(folder / "pooled.tflite")
    rng = np.random.default_rng(7)
    histories = np.stack([rng.permutation(np.arange(1, ITEMS))[: LENGTH + 1] for _ in range(20)])
    histories, targets = histories[:, :LENGTH], histories[:, LENGTH]
    histories[:3, 2:] = 0
    histories[3] = 0
    np.savez(folder / "examples.npz", history=histories, target=targets)
    return folder


def examples_of(folder):
    arrays = np.load(folder / "examples.npz")
    return Examples(arrays["history"], arrays["target"], np.arange(len(arrays["target"])))


def named(folder, *names):
    return [folder / f"{name}.tflite" for name in names]


def test_bytes_are_those_of_the_files(folder):
    comparison = compare(named(folder, "ranker", "float"), **LEAST)
    path = folder / "ranker.tflite"
    first, second = comparison.files
    content = path.read_bytes()
    assert first.bytes["file"] == len(content)
    assert first.bytes["graph"] == content.index(b"PK\x03\x04")
    assert first.bytes["compressed"] == len(zlib.compress(content))
    assert first.bytes["tables"] >= ITEMS * 8
    assert second.times_smaller == first.bytes["file"] / second.bytes["file"]
    assert first.report == CompressedModelFile(path).report


def test_every_signature_is_timed(folder):
    comparison = compare(named(folder, "ranker", "pooled"), **LEAST)
    for figures, names in zip(
        comparison.files,
        ({"embed", "rank", "score"}, {"embed", "serving_default"}),
        strict=True,
    ):
        assert set(figures.milliseconds) == names
        assert all(set(times) == set(THREADS) for times in figures.milliseconds.values())


def test_the_same_numbers_in_fewer_bits_nearly_agree(folder):
    files = compare(named(folder, "float", "ranker", "coarse"), **LEAST).files
    fine, coarse = (of.agreement for of in files[1:])
    assert fine.k == coarse.k == 5 and fine.num_histories == 64
    assert 1 > fine.common_share > 0.9 > coarse.common_share > 0.3
    assert 0 < fine.largest_score_difference < 0.2 < coarse.largest_score_difference
    assert files[0].agreement.common_share == 1 and not files[0].agreement.largest_score_difference


def test_items_are_compared_whatever_their_ids_are(folder):
    """The same table in another order, with a longer list: the same items, the same scores."""
    paths = named(folder, "ranker", "shuffled")
    # Without a history this ranker gives all items one score: any list is right.
    comparison = compare(paths, examples=examples_of(folder)[4:], **LEAST)
    first, second = comparison.files
    assert second.agreement.common_share == 1.0
    assert second.agreement.largest_score_difference < 1e-5
    assert first.metrics == second.metrics
    assert {"ndcg@5", "recall@5", "recall@5 head", "recall@5 tail"} < set(first.metrics)
    assert first.behaviour.lists == second.behaviour.lists
    assert second.behaviour.entered == second.behaviour.left == []
    assert second.summary.endswith("shares 5.0 of 5 items with it; its nDCG@5 is the same.")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("others", "2 items are in one of the two only"),
        ("nameless", "one of the two has a vocabulary, the other has none"),
        ("pooled", "the file is no ranker"),
    ],
)
def test_files_of_other_items_are_shown_with_the_reason(folder, name, why):
    comparison = compare(named(folder, "ranker", name, "float"), **LEAST)
    first, second, third = comparison.files
    assert second.not_compared == why and why in second.summary
    assert second.agreement is second.behaviour is second.metrics is None
    assert second.bytes["file"] > 0 and not second.is_best_trade_off
    assert comparison.smallest == 2, "the smallest of those that are compared"
    assert first.not_compared is third.not_compared is None
    assert third.agreement.common_share > 0.9


def test_a_reference_that_is_no_ranker_leaves_sizes_and_times(folder):
    comparison = compare(named(folder, "pooled", "ranker", "float"), **LEAST)
    assert {of.not_compared for of in comparison.files} == {"the reference is no ranker"}
    assert comparison.users == () and comparison.titles == {}
    assert "times larger than pooled.tflite" in comparison.summary


def test_a_folder_stands_for_its_files_and_a_file_for_itself(folder, tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.tflite").write_bytes((folder / "ranker.tflite").read_bytes())
    (tmp_path / "notes.txt").write_text("no model")
    comparison = memcom_tf.compare([folder / "float.tflite", tmp_path], **LEAST)
    labels = [of.label for of in comparison.files]
    assert labels == ["float.tflite", "a.tflite", "b.tflite", "c.tflite"]
    again = memcom_tf.compare([tmp_path / "c.tflite", tmp_path], **LEAST)
    assert [of.label for of in again.files] == ["c.tflite", "a.tflite", "b.tflite"]


def test_files_of_one_name_are_told_apart_by_their_folders(folder, tmp_path):
    paths = [tmp_path / name / "small.tflite" for name in ("monday", "tuesday")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes((folder / "ranker.tflite").read_bytes())
    labels = [of.label for of in compare([*paths, paths[0]], **LEAST).files]
    assert labels == ["monday/small.tflite (1)", "tuesday/small.tflite", "monday/small.tflite (2)"]


def test_another_reference_may_be_named(folder, tmp_path):
    paths = named(folder, "coarse", "float", "ranker")
    comparison = compare(paths, reference=paths[1], **LEAST)
    assert comparison.reference == 1 and comparison.files[1].times_smaller == 1
    assert comparison.files[1].summary.startswith("float.tflite is the reference")
    assert "than float.tflite" in comparison.summary
    outside = compare(paths[::2], reference=paths[1], **LEAST)
    assert [of.label for of in outside.files] == ["float.tflite", "coarse.tflite", "ranker.tflite"]
    assert outside.reference == 0


def test_what_cannot_be_compared_is_an_error(folder, tmp_path):
    path = folder / "ranker.tflite"
    examples = Examples(np.array([[1, 2, 3, 0]]), np.array([ITEMS]), np.array([0]))
    with pytest.raises(ValueError, match=r"rankers of the same items, but the file is no ranker"):
        compare(named(folder, "ranker", "pooled"), examples=examples)
    with pytest.raises(ValueError, match=rf"in \[0, {ITEMS}\). Received: target={ITEMS}"):
        compare([path, path], examples=examples)
    with pytest.raises(ValueError, match=r"There must be examples. Received: examples=0"):
        compare([path, path], examples=examples[:0])
    with pytest.raises(ValueError, match=r"`repeats` must be positive. Received: repeats=0"):
        compare([path, path], repeats=0)
    for paths in ([path], path, [tmp_path], []):
        with pytest.raises(ValueError, match=r"must be two files to compare, or more. Received: f"):
            compare(paths)
    with pytest.raises(FileNotFoundError, match=r"The file must exist. Received: path='.*none"):
        compare([path, folder / "none.tflite"])


def figures_of(size, ndcg=None, error=0.01, shared=0.5):
    """A file of that size and quality."""
    metrics = {} if ndcg is None else {"ndcg@5": ndcg, f"{DIFFERENCE}ndcg@5": error}
    agreement = Agreement(10, 5, shared, 0.0)
    sizes = {"file": size}
    return FileFigures("", f"{size}", {}, sizes, 100 / size, {}, None, agreement, metrics)


def test_best_trade_offs_are_those_that_no_other_file_beats():
    points = [(100, 0.5), (50, 0.4), (50, 0.3), (60, 0.4), (40, 0.45), (100, 0.5)]
    found = best_trade_offs([figures_of(*point) for point in points])
    assert [of.is_best_trade_off for of in found] == [True, False, False, False, True, True]
    # Without examples by what is shared with the reference.
    found = best_trade_offs([figures_of(10, shared=0.9), figures_of(20, shared=0.8)])
    assert [of.is_best_trade_off for of in found] == [True, False]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (figures_of(8, 0.4), "is 12.5 times smaller than 100 and shares 2.5 of 5 items with it; "
         "its nDCG@5 is 20.0 % lower."),
        (figures_of(200, 0.6, error=0.06), "is 2.0 times larger than 100 and shares 2.5 of 5 items "
         "with it; its nDCG@5 is 20.0 % higher, which may be chance."),
        (figures_of(99.9, 0.5), "is as large as 100 and shares 2.5 of 5 items with it; its nDCG@5 "
         "is the same."),
        (figures_of(1), "is 100 times smaller than 100 and shares 2.5 of 5 items with it."),
    ],
)  # fmt: skip
def test_a_file_is_summed_up_in_a_sentence(figures, expected):
    assert sentence_of(figures, figures_of(100, 0.5)).partition(" ")[2] == expected


def test_groups_and_moves_are_counted_from_the_lists():
    others = np.array([[1, 2, 3], [1, 2, 3], [4, 5, 0]])
    lists = np.array([[1, 2, 9], [9, 8, 7], [4, 5, 0]])
    counts = np.array([0, 10, 3, 3, 2, 2, 2, 2, 2, 2.0])
    histories = [np.array([], int), np.arange(1, 4), np.arange(1, 7)]
    users = Users(histories, np.array([1, 9, 4]), counts, 9, np.array([0, 2]))
    first, first_of_reference = np.array([1, 2, 0]), np.array([1, 3, 0])
    found = behaviour_of(users, lists, others, first, first_of_reference)
    by_history = {group.name: (group.num_users, group.shared) for group in found.by_history}
    # Of the last list all two items are kept: as of three, all three.
    assert by_history == {"0": (1, 2.0), "1 to 4": (1, 0.0), "5 to 9": (1, 3.0)}
    by_popularity = {group.name: (group.num_users, group.shared) for group in found.by_popularity}
    assert by_popularity == {"head": (1, 2.0), "torso": (1, 3.0), "tail": (1, 0.0)}
    assert [(of.item, of.num_lists) for of in found.entered] == [(9, 2), (7, 1), (8, 1)]
    assert [(of.item, of.num_lists) for of in found.left] == [(3, 2), (1, 1), (2, 1)]
    assert found.first_list == [1, 2] and found.first_shared == 1
    assert found.coverage == 7 / 9
    assert found.lists == [[1, 2, 9], [4, 5]]


def test_users_are_shown_with_titles(folder):
    comparison = compare(named(folder, "float", "coarse"), examples=examples_of(folder), **LEAST)
    assert len(comparison.users) == 8
    vocabulary = CompressedModelFile(folder / "float.tflite").vocabulary
    behaviour = comparison.files[1].behaviour
    for user, ids in zip(comparison.users, behaviour.lists, strict=True):
        assert len(user.target) == 1
        for id_ in (*user.history, *user.target, *ids):
            assert vocabulary.ids(comparison.titles[str(id_)]) == id_
    assert len(comparison.titles) < ITEMS
    assert [group.name for group in behaviour.by_history] == ["0", "1 to 4"]
    assert sum(group.num_users for group in behaviour.by_popularity) == 20
    errors = [of.metrics[f"{DIFFERENCE}ndcg@5"] for of in comparison.files]
    assert errors[0] == 0 <= errors[1]


def test_the_command_prints_two_files_in_columns(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    paths = [str(path) for path in named(folder, "ranker", "float")]
    assert main(["compare", *paths, "--examples", str(folder / "examples.npz")]) == 0
    printed = capsys.readouterr().out
    for words in ("B / A", "compressed bytes", "rank, 2 threads, ms", "recall@5", "20 examples"):
        assert words in printed
    assert main(["compare", paths[0], str(folder / "pooled.tflite")]) == 0
    assert "Its lists were not compared: the file is no ranker." in capsys.readouterr().out


def test_the_command_prints_more_files_in_rows_of_eighty_letters(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["compare", str(folder), "--reference", str(folder / "float.tflite")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    rows = dict(re.findall(r"^ (\w+)\.tflite .*? ([\d,]{4,}) ", printed, re.MULTILINE))
    assert {name: int(size.replace(",", "")) for name, size in rows.items()} == {
        path.stem: path.stat().st_size for path in folder.glob("*.tflite")
    }
    assert printed.count("(reference)") == 1


def test_the_command_refuses_one_file_in_its_reader_s_words(folder, capsys):
    assert main(["compare", str(folder / "float.tflite")]) == 2
    said = capsys.readouterr().err
    assert "must be two files to compare, or more. Received: files=" in said
    assert "`memcom inspect --html` shows one alone" in said


def test_the_command_takes_a_prepared_data_set_as_examples(folder, tmp_path, capsys):
    rng = np.random.default_rng(2)
    rows = [
        f"{user},item {item},{step}"
        for user in range(12)
        for step, item in enumerate(rng.permutation(ITEMS - 1)[:6].tolist())
    ]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows, ""]))
    data = str(tmp_path / "data")
    assert main(["prepare", str(tmp_path / "log.csv"), "-o", data]) == 0
    words = ["compare", *map(str, named(folder, "float", "shuffled")), "--examples", data]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["files"]
    assert first["agreement"]["num_histories"] == 12
    assert set(first["metrics"]) == set(second["metrics"]) > {"ndcg@5", "recall@5"}


def test_the_command_needs_no_tensorflow(folder):
    words = [str(path) for path in named(folder, "ranker", "shuffled")]
    code = (
        "import sys; from memcom_tf.cli.main import main; "
        f"code = main(['compare', *{[*words, '--json']}]); "
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True)
    document = json.loads(done.stdout)
    expected = json.loads(json.dumps(dataclasses.asdict(compare(words, **LEAST))))
    for of in (*document["files"], *expected["files"]):
        del of["milliseconds"]
    assert document == expected
    assert document["files"][1]["agreement"]["common_share"] == 1.0
