"""The benchmark of quality: what it runs, what it keeps, and what it never looks at."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import recipe
from benchmarks.quality import __main__ as quality
from benchmarks.quality import case as quality_case
from benchmarks.quality import input as quality_input
from benchmarks.quality import methods as quality_methods
from benchmarks.quality import report as quality_report
from benchmarks.quality.data import Data, fingerprint, load
from memcom_tf.compression import Candidate, file_size, trials
from memcom_tf.datasets import Interactions
from memcom_tf.evaluation import hold_out, leave_last_out
from memcom_tf.layers import FullEmbedding, MEmComEmbedding, ResidualQuantizedEmbedding
from memcom_tf.layers.contract.layer import METHODS
from memcom_tf.models import NextItemRanker

USERS, ITEMS, LENGTH = 60, 300, 10


def columns() -> dict[str, np.ndarray]:
    """Every item occurs in training, so that what is tested adds none."""
    rng = np.random.default_rng(0)
    item = np.concatenate([rng.permutation(ITEMS), rng.integers(0, ITEMS, ITEMS)])
    last = rng.integers(0, ITEMS, (USERS, 2))
    item = np.concatenate([item.reshape(USERS, LENGTH), last], axis=1)
    return {"user": np.repeat(np.arange(USERS), LENGTH + 2), "item": item.ravel()}


def held_out() -> np.ndarray:
    return np.tile(np.arange(LENGTH + 2) >= LENGTH, USERS)


@pytest.fixture
def run(tmp_path):
    def run(*arguments: str, data: str = "") -> tuple[list[dict], str]:
        path = tmp_path / "clicks.npz"
        np.savez(path, **columns())
        options = ["--quick", "--width", "16", "--history-length", "8", "--seeds", "0"]
        out = tmp_path / "out.jsonl"
        status = quality.main(
            ["--data", data or str(path), *options, "--json", str(out), *arguments]
        )
        assert status == 0
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        return rows, (tmp_path / "out.md").read_text()

    return run


@pytest.mark.long
def test_a_run_is_kept_and_not_repeated(run, tmp_path, monkeypatch):
    methods = ["--methods", "tied", "tied-int8", "MEmComEmbedding+posthoc"]
    rows, text = run(*methods, "--ratios", "2.8", "1000")
    assert [(row["method"], row["ratio"], row["reachable"]) for row in rows] == [
        ("tied", None, True),
        ("tied-int8", None, True),
        ("MEmComEmbedding+posthoc", 2.8, True),
        ("MEmComEmbedding+posthoc", 1000, False),
    ]
    assert 2.8 <= rows[2]["untied_bytes"] / rows[2]["bytes"] < 2.9
    assert rows[1]["bytes"] < rows[0]["bytes"]
    for row in rows[:3]:
        sample = row["file_sample"]
        assert sample["ndcg@10"] == pytest.approx(row["model_sample"]["ndcg@10"], abs=1e-6)
    assert "| MEmComEmbedding+posthoc | 1000 | not reachable |" in text
    assert "- Ratio 2.8: `MEmComEmbedding+posthoc`" in text
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr(quality, "run", lambda *_: pytest.fail("repeated"))
    again, same_text = run(*methods, "--ratios", "2.8", "1000")
    assert again == rows
    assert same_text.split("## Which")[0] == text.split("## Which")[0]


def test_how_students_are_trained_decides_their_runs_alone():
    """Another learning rate of students leaves baselines, and what is not trained, as they are."""
    contenders = quality_methods.contenders()
    names = {name: contenders[name].trains_student for name in contenders}
    assert {name for name, trains in names.items() if not trains} > {"tied", "HashedEmbedding"}
    assert {name for name, trains in names.items() if trains} == {
        name for name in names if "distilled" in name or "trained" in name
    } | {"compress"}
    settings = case_settings(None)
    other = replace(settings, student=replace(settings.student, learning_rate=0.1))
    assert other.fingerprint() != settings.fingerprint()
    assert other.fingerprint(trains_student=False) == settings.fingerprint(trains_student=False)
    longer = replace(settings, teacher_steps=1 + settings.teacher_steps)
    assert longer.fingerprint(trains_student=False) != settings.fingerprint(trains_student=False)


def test_a_failed_run_is_told_and_not_kept(run, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(quality, "run", fail)
    with pytest.raises(AssertionError, match="1 == 0"):
        run("--methods", "tied")
    assert "no such thing" in capsys.readouterr().err


def test_csv_and_npz_hold_the_same(tmp_path):
    names = {"user": columns()["user"], "item": columns()["item"], "test": held_out().astype(int)}
    np.savez(tmp_path / "sets.npz", **names)
    lines = [",".join(map(str, row)) for row in zip(*names.values(), strict=True)]
    (tmp_path / "sets.csv").write_text("\n".join([",".join(names), *lines]))
    found = [load(str(tmp_path / f"sets.{kind}"), 8) for kind in ("npz", "csv")]
    assert found[0].fingerprint == found[1].fingerprint
    assert not found[0].split.ordered
    del names["test"]
    np.savez(tmp_path / "sequences.npz", **names)
    assert load(str(tmp_path / "sequences.npz"), 8).split.ordered


def test_every_registered_layer_is_a_method():
    names = set(quality_methods.contenders())
    assert set(METHODS) <= names
    assert {"MEmComEmbedding+order", "LowRankEmbedding+distilled", "compress"} <= names
    # There is no closed form for hashes that overlap, and no shared row to choose without buckets.
    assert not names & {"DoubleHashedEmbedding+posthoc", "LowRankEmbedding+order"}


@pytest.mark.few(1)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("method", ["MEmComEmbedding+order", "MEmComEmbedding+trained+input"])
def test_what_is_tested_on_changes_nothing_that_is_learned(tmp_path, monkeypatch, method, ordered):
    """Other items to be tested on: the same counts, order, epochs and weights."""
    candidate = Candidate(MEmComEmbedding, {"num_buckets": 40})
    monkeypatch.setattr(quality_case.Case, "sized", lambda *_: (candidate, 8))
    monkeypatch.setattr(quality_input, "INPUT_RATIO", 4)
    found = []
    for number in range(2):
        split = split_with_other_tests(number, ordered)
        data = Data("clicks", split, fingerprint(split))
        options = quality.parser().parse_args(["--quick", "--width", "8", "--history-length", "8"])
        settings = quality.settings_of(options, data)
        settings = replace(settings, training=replace(settings.training, epochs=3))
        case = quality_case.Case(data, settings, tmp_path / str(number))
        found.append((data, quality_methods.contenders()[method].run(case, 0, 0)))
    (data, outcome), (other_data, other) = found
    assert data.fingerprint != other_data.fingerprint
    assert data.split.vocabulary.fingerprint == other_data.split.vocabulary.fingerprint
    assert isinstance(outcome.model.item_embedding, MEmComEmbedding)
    vocabulary, others = outcome.model.vocabulary, other.model.vocabulary
    assert vocabulary.order == "similarity"
    np.testing.assert_array_equal(vocabulary.counts, others.counts)
    assert list(vocabulary) == list(others)
    assert outcome.epochs == other.epochs
    for weight, same in zip(outcome.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.long
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_how_many_rows_single_items_have_is_chosen_on_validation(tmp_path, monkeypatch, share):
    split = leave_last_out(Interactions(**columns()), history_length=8)
    case = quality_case.Case(Data("clicks", split, ""), case_settings(split), tmp_path)
    shared, evaluated = quality_input._shared, []
    monkeypatch.setattr(quality_input, "INPUT_RATIO", 4)
    monkeypatch.setattr(quality_input, "_DEDICATED", (0.1, 0.9))

    def told(case, teacher, rows, num_dedicated):
        evaluated.append(num_dedicated == int(share * rows))
        return shared(case, teacher, rows, num_dedicated)

    monkeypatch.setattr(quality_input, "_shared", told)
    monkeypatch.setattr(
        quality_input,
        "evaluate_ranking",
        lambda score, examples, k: {f"ndcg@{k}": float(evaluated[-1])},
    )
    layer = quality_input.input_after_teacher(case, 0, 0).model.item_embedding
    rows = layer.num_buckets + layer.num_dedicated
    assert len(evaluated) == 2
    assert layer.num_dedicated == int(share * rows)
    assert layer.for_ratio(layer.input_dim, layer.output_dim, 4).num_buckets == rows


def split_with_other_tests(number: int, ordered: bool):
    """Two splits that differ in what is for test, and in nothing else."""
    log = columns()
    if ordered:
        last = slice(LENGTH + 1, None, LENGTH + 2)
    else:
        coin = np.random.default_rng(0).random(len(log["item"])) < 0.5  # that of `hold_out`
        last = held_out() & ~coin
    log["item"][last] = (log["item"][last] + 7 * number) % ITEMS
    interactions = Interactions(**log)
    if ordered:
        return leave_last_out(interactions, history_length=8)
    return hold_out(interactions, held_out(), history_length=8)


def group(method, ratio, ndcg, size):
    metrics = {"ndcg@10": ndcg, "recall@10": ndcg}
    row = {"method": method, "ratio": ratio, "bytes": size, "reachable": True}
    return quality_report.Group([{**row, "validation": metrics, "test": metrics}])


def test_the_best_on_validation_is_named_for_each_ratio():
    groups = [
        group("tied", None, 0.10, 1000),
        group("untied", None, 0.08, 2000),
        group("HashedEmbedding", 16, 0.05, 100),
        group("compress", 16, 0.09, 90),
    ]
    assert quality_report.reference(groups, 10).method == "tied"
    text = quality_report.which_when(groups, 10)
    assert text.startswith("- Ratio 16: `compress` (90 bytes, +10.0 % of test nDCG@10 lost); then")


def test_more_than_a_student_is_needed(capsys):
    with pytest.raises(SystemExit):
        quality.main(["--steps", "3"])
    assert "--steps must be more than" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize("biases", [False, True])
def test_the_largest_ranker_that_fits_has_the_biases_that_it_is_given(biases):
    split = leave_last_out(Interactions(**columns()), history_length=8)
    case = quality_case.Case(Data("clicks", split, ""), case_settings(split), None)
    limit = case.tied_bytes // 3
    candidate, width = case.sized(MEmComEmbedding, limit, biases)
    layer = case.layer(MEmComEmbedding, width, **candidate.arguments)
    ranker = case.ranker(split, layer, **(trials.BIASES if biases else {}))
    file_size.fill_at_random(ranker)
    assert 0.99 * limit < file_size.graph_bytes(ranker) <= limit


def test_a_file_above_its_bytes_is_a_failed_run(monkeypatch):
    split = leave_last_out(Interactions(**columns()), history_length=8)
    case = quality_case.Case(Data("clicks", split, ""), case_settings(split), None)
    limit = case.untied_bytes // 4
    outcome = quality_methods.Outcome(None, split, 0)
    contender = quality_methods.Contender("any", lambda *_: outcome)
    for over, fits in ((0, True), (limit // 10, False)):
        monkeypatch.setattr(quality_methods, "measure", lambda *_, o=over: {"bytes": limit + o})
        if fits:
            assert quality_methods.run(case, contender, 4, 0)["bytes"] == limit
        else:
            with pytest.raises(RuntimeError, match=f"must fit {limit} bytes"):
                quality_methods.run(case, contender, 4, 0)


@pytest.mark.long
def test_recipes_are_compared_with_the_default(tmp_path, monkeypatch):
    """Of each part the default and one that differs; a second run repeats nothing."""
    few = {part: dict(list(tried.items())[:2]) for part, tried in recipe.recipes().items()}
    monkeypatch.setattr(recipe, "recipes", lambda: few)
    codes = {"num_codebooks": 2, "num_codes": 16}
    chosen = {
        MEmComEmbedding: Candidate(MEmComEmbedding, {"num_buckets": 40}),
        ResidualQuantizedEmbedding: Candidate(ResidualQuantizedEmbedding, codes),
    }
    monkeypatch.setattr(recipe.Recipes, "chosen", chosen)
    data, out = tmp_path / "clicks.npz", tmp_path / "out.jsonl"
    np.savez(data, **columns())
    options = ["--data", str(data), "--quick", "--json", str(out)]
    assert recipe.main(options) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["part"], row["recipe"]) for row in rows] == [
        (part, name) for part, tried in few.items() for name in tried
    ]
    text = out.with_suffix(".md").read_text()
    values = {row["recipe"]: row["validation"] for row in rows if row["part"] == rows[-1]["part"]}
    default, other = values.values()
    assert f"| 0 of the way | {other:.4f} |" in text
    assert f"| {100 * (other / default - 1):+.1f} |" in text

    monkeypatch.setattr(recipe.Case, "trained_baseline", lambda *_: pytest.fail("repeated"))
    assert recipe.main(options) == 0
    assert len(out.read_text().splitlines()) == len(rows)


def test_a_recipe_changes_what_it_names(monkeypatch):
    """Decay reaches the multipliers where they are named, and nowhere else."""
    seen = {}

    def train(model, split, settings):
        table = model.item_embedding
        seen["shape"] = table.num_buckets, table.num_dedicated, table.multiplier_learning_rate
        seen["scalars"], seen["settings"] = list(recipe._TRAINING.SCALARS), settings
        return {"epoch": 0}

    monkeypatch.setattr(recipe, "train", train)
    split = leave_last_out(Interactions(**columns()), history_length=8)
    case = quality_case.Case(Data("clicks", split, fingerprint(split)), case_settings(split), None)
    made = recipe.Recipes(case, limit=0, steps=3, seed=1)
    parts = recipe.recipes()["alone"]
    parts["default"](made)
    shape = seen["shape"]
    assert seen["settings"].steps == 3 and "multiplier" in seen["scalars"]
    parts["weight decay on the multipliers too"](made)
    assert "multiplier" not in seen["scalars"] and "bias" in seen["scalars"]
    parts["no rows of single items"](made)
    assert seen["shape"] == (shape[0] + shape[1], 0, shape[2])
    parts["multipliers at the learning rate of the rows"](made)
    assert seen["shape"] == (*shape[:2], 1.0)
    parts["weight decay 2"](made)
    assert seen["settings"].weight_decay == 2.0
    assert "multiplier" in recipe._TRAINING.SCALARS


def test_recipes_after_a_teacher_change_what_they_name(monkeypatch):
    def compressed(self, candidate, **changed):
        student = NextItemRanker(candidate.layer(20, 4), history_length=3)
        teacher = NextItemRanker(FullEmbedding(20, 4), history_length=3)
        drops = recipe._TRAINING.DistilledRanker(student, teacher).dropout
        seen.append((candidate.method, drops, changed))
        return SimpleNamespace(model=None, split=None)

    seen = []
    memcom = Candidate(MEmComEmbedding, {"num_buckets": 9})
    monkeypatch.setattr(recipe.Recipes, "chosen", {MEmComEmbedding: memcom})
    monkeypatch.setattr(recipe.Recipes, "_compressed", compressed)
    split = leave_last_out(Interactions(**columns()), history_length=8)
    case = quality_case.Case(Data("clicks", split, ""), case_settings(split), None)
    made = recipe.Recipes(case, limit=0, steps=3, seed=1)
    parts = recipe.recipes()["memcom"]
    for name in ("default", "with the dropout of the original", "5000 steps"):
        parts[name](made)
    assert seen == [
        (MEmComEmbedding, False, {}),
        (MEmComEmbedding, True, {}),
        (MEmComEmbedding, False, {"steps": 5000}),
    ]


def case_settings(split) -> quality_case.Settings:
    options = quality.parser().parse_args(["--quick", "--k", "10", "--steps", "5000"])
    return quality.settings_of(options, Data("clicks", split, ""))
