"""Compression of a trained ranker: what fits, what it computes, what it costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memcom_tf._keras import keras
from memcom_tf.cli.main import main
from memcom_tf.cli.ranker_commands import parse_bytes
from memcom_tf.compression import (
    SETTINGS,
    Candidate,
    Trial,
    candidates_for,
    compress,
    ranker,
    trials,
)
from memcom_tf.compression.behaviour import Behaviour, OriginalLists
from memcom_tf.compression.file_size import graph_bytes
from memcom_tf.compression.ranker import finalists_of
from memcom_tf.compression.students import uncompressed, vectors_of
from memcom_tf.converters import CompressedModelFile
from memcom_tf.evaluation import evaluate_ranking, leave_last_out
from memcom_tf.layers import (
    FullEmbedding,
    HashedEmbedding,
    LowRankEmbedding,
    MEmComEmbedding,
    ResidualQuantizedEmbedding,
)
from memcom_tf.training import TrainingSettings, new_ranker, train
from tests.training.test_training import log_of_kinds

QUICK = replace(SETTINGS, epochs=2, evaluate_every=1, batch_size=32, k=5)
WIDTH = 8
SMALL = [Candidate(MEmComEmbedding, {"num_buckets": 9})]


@pytest.fixture(scope="module")
def log():
    return log_of_kinds()


@pytest.fixture(scope="module")
def trained(log):
    split = leave_last_out(log, history_length=6)
    model = new_ranker(split, width=WIDTH)
    train(model, split, TrainingSettings(epochs=8, learning_rate=0.02, batch_size=32, k=5))
    return model, split


@pytest.mark.parametrize("max_bytes", [30_000, 100_000, 400_000, 2_000_000, 10**8])
def test_candidates_fill_the_bytes_and_no_more(max_bytes):
    found = candidates_for(20_000, 64, max_bytes)
    assert found
    for candidate in found:
        size = candidate.stored_bytes(20_000, 64)
        assert size <= max_bytes
        if candidate.sharing is not None:
            items_a_row = 8 if candidate.method is ResidualQuantizedEmbedding else 2
            rows = candidate.sharing.num_rows
            assert size > 0.99 * max_bytes or rows == 20_000 // items_a_row


def test_where_every_id_can_have_a_row_nothing_else_is_tried():
    int8, int4 = (candidates_for(20_000, 64, room) for room in (20_000 * 68, 20_000 * 40))
    assert [str(candidate) for candidate in int8] == ["FullEmbedding()"]
    assert [str(candidate) for candidate in int4] == ["FullEmbedding(embeddings int4)"]


def test_rows_of_single_ids_take_from_those_that_are_shared():
    found = [c for c in candidates_for(20_000, 64, 100_000) if c.method is MEmComEmbedding]
    sharing = [c.sharing for c in found if "shared int4" in str(c)]
    rows = [(of.num_buckets, of.num_dedicated) for of in sharing]
    shares = [dedicated / (shared + dedicated) for shared, dedicated in rows]
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75], abs=0.001)
    assert max(map(sum, rows)) < 1.2 * min(map(sum, rows))


def test_rows_of_single_ids_are_of_items_that_would_lose_most_without(trained):
    """Of a rare item with a long vector, not of a frequent one with a short vector."""
    model, split = trained
    counts = model.vocabulary.counts
    rare, frequent = int(counts.argmin()), int(counts.argmax())
    table = vectors_of(model.item_embedding)
    table[model.vocabulary.first_id + np.array([rare, frequent])] *= [[100.0], [0.001]]
    changed = uncompressed(model, model.vocabulary)
    changed.item_embedding.assign_tables({"embeddings": table})
    work = trials.Trials(changed, split, QUICK, lambda line: None)
    candidate = Candidate(MEmComEmbedding, {"num_buckets": 9, "num_dedicated": 9})
    items = list(model.vocabulary)
    ids = work.vocabulary(candidate).ids([items[rare], items[frequent]])
    assert ids[0] < 9 <= ids[1]


def test_finalists_are_of_different_layers():
    full, low = Candidate(FullEmbedding), Candidate(LowRankEmbedding, {"rank": 2})
    lower = Candidate(LowRankEmbedding, {"rank": 1})
    trials = [Trial(low, 10, 0.3), Trial(lower, 9, 0.29), Trial(full, 10, 0.285)]
    assert finalists_of(trials, 2) == [trials[0], trials[2]]
    assert finalists_of(trials, 1) == trials[:1]
    behind = replace(trials[2], ndcg_before=0.28)
    assert finalists_of([*trials[:2], behind], 2) == trials[:1]


def test_no_candidate_where_nothing_fits():
    assert candidates_for(20_000, 64, 1000) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(LowRankEmbedding, {"rank": WIDTH}),
        Candidate(MEmComEmbedding, {"num_buckets": 49}),
        Candidate(FullEmbedding),
    ],
    ids=str,
)
def test_what_can_hold_the_tables_scores_as_before(trained, candidate):
    """Under other ids or not, without any training."""
    model, split = trained
    no_training = replace(QUICK, epochs=0)
    found = compress(model, split, ratio=1, settings=no_training, candidates=[candidate])
    assert found.ndcg == pytest.approx(found.ndcg_of_original, abs=1e-6)
    items = list(model.vocabulary)
    before = np.asarray(model(split.test.history))[:, model.vocabulary.ids(items)]
    after = np.asarray(found.model(found.split.test.history))
    np.testing.assert_allclose(before, after[:, found.model.vocabulary.ids(items)], atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(MEmComEmbedding, {"num_buckets": 9, "storage": {"shared": "int4_per_table"}}),
        Candidate(ResidualQuantizedEmbedding, {"num_codebooks": 2, "num_codes": 16}),
        Candidate(HashedEmbedding, {"num_buckets": 9}, item_bias=False),
    ],
    ids=str,
)
def test_a_candidate_is_measured_as_the_model_that_it_becomes(trained, candidate):
    model, split = trained
    no_training = replace(QUICK, epochs=0)
    found = compress(model, split, ratio=1, settings=no_training, candidates=[candidate])
    measured = evaluate_ranking(found.model.predict_on_batch, found.split.validation, k=QUICK.k)
    assert found.ndcg == pytest.approx(measured["ndcg@5"], abs=1e-6)


def test_the_best_candidate_is_chosen_and_trained(trained, log):
    model, _ = trained
    lines = []
    rough = Candidate(MEmComEmbedding, {"num_buckets": 1})
    good = Candidate(ResidualQuantizedEmbedding, {"num_codebooks": 2, "num_codes": 16})
    found = compress(
        model, log, ratio=1, settings=QUICK, candidates=[rough, good], report=lines.append
    )
    assert found.chosen == good
    assert isinstance(found.model.item_embedding, ResidualQuantizedEmbedding)
    of = {str(trial.candidate): trial for trial in found.trials}
    assert found.ndcg >= of[str(good)].ndcg_before >= of[str(rough)].ndcg_before
    assert found.file_bytes == graph_bytes(found.model) == of[str(good)].file_bytes
    assert len(lines) == 3 and str(good) in str(found)


@pytest.mark.long
def test_the_finalist_that_training_makes_best_is_taken(trained, monkeypatch):
    """Each is trained for all epochs, also the one that was behind before."""
    model, split = trained
    first = Candidate(ResidualQuantizedEmbedding, {"num_codebooks": 2, "num_codes": 16})
    behind = Candidate(MEmComEmbedding, {"num_buckets": 1})
    monkeypatch.setattr(ranker, "_BEHIND", 1.0)
    monkeypatch.setattr(Behaviour, "keeps_first_list", True)
    epochs = []

    def train(student, split, settings, *, teacher, checkpoint):
        epochs.append(settings.epochs)
        return {"best": float(isinstance(student.item_embedding, MEmComEmbedding))}

    monkeypatch.setattr(trials, "train", train)
    found = compress(model, split, ratio=1, settings=QUICK, candidates=[first, behind])
    assert epochs == [QUICK.epochs] * 2
    before = {trial.candidate: trial.ndcg_before for trial in found.trials}
    assert before[behind] < before[first]
    assert found.chosen == behind and found.ndcg == 1
    assert isinstance(found.model.item_embedding, MEmComEmbedding)
    assert [trial.num_trained for trial in found.trials] == [QUICK.epochs] * 2


@pytest.mark.long
def test_a_candidate_may_be_without_biases_of_items(trained):
    model, split = trained
    own = {"num_buckets": 4, "num_dedicated": 6, "storage": {"hashed": "int4_per_row"}}
    found = [
        compress(
            model,
            split,
            ratio=1,
            settings=replace(QUICK, epochs=0),
            candidates=[Candidate(HashedEmbedding, own, item_bias=item_bias)],
        )
        for item_bias in (True, False)
    ]
    assert [c.model.item_bias_embedding is not None for c in found] == [True, False]
    assert found[1].file_bytes <= found[0].file_bytes - found[0].model.item_embedding.input_dim
    assert str(found[1].chosen).endswith("hashed int4, no item bias)")


def test_rows_alone_are_tried_with_biases_and_without():
    found = [c for c in candidates_for(20_000, 64, 100_000) if c.method is HashedEmbedding]
    assert {candidate.item_bias for candidate in found} == {True, False}
    for candidate in found:
        assert 0.99 * 100_000 < candidate.stored_bytes(20_000, 64) <= 100_000


@pytest.mark.parametrize("bytes_a_row", [9, 12, 30])
def test_sizes_are_found_where_the_graph_is_not_what_was_thought(trained, monkeypatch, bytes_a_row):
    """Rows of 12 bytes take fewer of the file, or so many more that the next guess has none."""
    model, split = trained
    work = trials.Trials(model, split, QUICK, print)

    def family(input_dim, output_dim, max_bytes):
        rows = max_bytes // 12
        return Candidate(HashedEmbedding, {"num_buckets": rows}) if rows > 9 else None

    def file_bytes(candidate):
        return 5_000 + bytes_a_row * candidate.arguments["num_buckets"]

    monkeypatch.setattr(work, "_file_bytes", file_bytes)
    found = work._sized(family, limit=20_000)
    assert 0.98 * 20_000 < file_bytes(found) <= 20_000
    assert work._sized(family, limit=5_050) is None


@pytest.mark.long
@pytest.mark.parametrize("biased", [True, False])
def test_biases_of_the_original_are_not_dropped(trained, monkeypatch, biased):
    model, split = trained
    if biased:
        model = new_ranker(split, width=WIDTH, item_bias=True)
        model.build_once()
    own = {"num_buckets": 4, "num_dedicated": 6}
    ways = [Candidate(HashedEmbedding, own, item_bias=item_bias) for item_bias in (True, False)]
    monkeypatch.setattr(trials, "families", lambda _: [lambda *_, way=way: way for way in ways])
    found = compress(model, split, max_bytes=50_000, settings=replace(QUICK, epochs=0))
    assert [trial.candidate.item_bias for trial in found.trials] == [True, False][: 2 - biased]


@pytest.mark.long
def test_a_model_that_ranks_nothing_right_has_no_relative_loss(trained):
    model, split = trained
    found = compress(model, split, ratio=1, settings=replace(QUICK, epochs=0), candidates=SMALL)
    nothing = replace(found, ndcg_of_original=0.0, ndcg=0.0)
    assert np.isnan(nothing.loss)
    assert "nan" in str(nothing)


@pytest.mark.long
def test_training_never_makes_it_worse(trained):
    model, split = trained
    wild = replace(QUICK, learning_rate=30.0)
    candidate = Candidate(MEmComEmbedding, {"num_buckets": 8})
    found = compress(model, split, ratio=1, settings=wild, candidates=[candidate])
    assert found.ndcg == found.trials[0].ndcg_before


def test_the_model_itself_does_not_change(trained):
    model, split = trained
    before = [np.array(weight) for weight in model.get_weights()]
    candidate = Candidate(MEmComEmbedding, {"num_buckets": 8})
    compress(model, split, ratio=1, settings=QUICK, candidates=[candidate])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_untied_tables_and_biases_are_compressed_too(log):
    split = leave_last_out(log, history_length=6)
    table = FullEmbedding(split.vocabulary.input_dim, WIDTH)
    model = new_ranker(split, output_embedding=table, width=WIDTH, item_bias=True)
    train(model, split, TrainingSettings(epochs=2, learning_rate=0.02, batch_size=32, k=5))
    candidate = Candidate(MEmComEmbedding, {"num_buckets": 49})
    settings = replace(QUICK, epochs=0)
    found = compress(model, split, ratio=1, settings=settings, candidates=[candidate])
    assert isinstance(found.model.output_embedding, MEmComEmbedding)
    # Biases have 8 bits.
    assert found.ndcg == pytest.approx(found.ndcg_of_original, abs=0.02)


@pytest.mark.long
def test_uncompressed_holds_the_vectors_of_any_method(trained):
    model, split = trained
    found = compress(
        model,
        split,
        ratio=1,
        settings=replace(QUICK, epochs=0),
        candidates=[Candidate(MEmComEmbedding, {"num_buckets": 8})],
    ).model
    full = uncompressed(found, model.vocabulary)
    items = list(model.vocabulary)
    np.testing.assert_allclose(
        vectors_of(full.item_embedding)[model.vocabulary.ids(items)],
        vectors_of(found.item_embedding)[found.vocabulary.ids(items)],
        atol=1e-6,
    )


def likelihood(ranker, split):
    """Mean probability of every item over the histories of training."""
    scores = np.array(ranker(split.train.history), np.float64)[:, ranker.vocabulary.first_id :]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)


@pytest.mark.long
def test_biases_keep_items_as_likely_as_they_were(trained):
    """However rough the tables are: popularity is what rank-1 buckets would lose first."""
    model, split = trained
    rough = Candidate(MEmComEmbedding, {"num_buckets": 4})
    settings = replace(QUICK, epochs=0)
    found = compress(model, split, ratio=1, settings=settings, candidates=[rough])
    items = list(model.vocabulary)
    order = found.split.vocabulary.ids(items) - model.vocabulary.first_id
    wanted = likelihood(model, split)

    def distance():
        return np.abs(likelihood(found.model, found.split)[order] - wanted).sum()

    corrected = distance()
    ids_of_model, ids_found = (v.ids(items) for v in (model.vocabulary, found.split.vocabulary))
    layer = found.model.item_bias_embedding
    biases = np.zeros((layer.input_dim, 1), np.float32)
    layer.assign_tables({"embeddings": biases})
    query = np.asarray(model.query(split.train.history)).mean(axis=0, keepdims=True)
    scores = np.asarray(found.model.score_all(query))[0, ids_found]
    biases[ids_found, 0] = np.asarray(model.score_all(query))[0, ids_of_model] - scores
    layer.assign_tables({"embeddings": biases})  # so that the mean query scores alike
    assert corrected < 0.7 * distance()


def test_errors(trained, log):
    model, split = trained
    with pytest.raises(ValueError, match="Either `max_bytes` or `ratio` must be given"):
        compress(model, split)
    with pytest.raises(ValueError, match="must leave room for the smallest method"):
        compress(model, split, max_bytes=100)
    with pytest.raises(TypeError, match="must be a NextItemRanker"):
        compress(keras.Sequential(), split, ratio=2)
    other = split.renumbered(type(split.vocabulary)(list(split.vocabulary)[::-1]))
    with pytest.raises(ValueError, match="must have the model's vocabulary"):
        compress(model, other, ratio=2)


@pytest.mark.parametrize(
    ("text", "value"), [("250000", 250_000), ("250kB", 250_000), ("1.5 MB", 1_500_000)]
)
def test_bytes_are_read(text, value):
    assert parse_bytes(text) == value


@pytest.mark.long
def test_the_command_line_trains_compresses_and_ranks(tmp_path, log, capsys):
    clicks, model = tmp_path / "clicks.csv", tmp_path / "ranker.keras"
    rows = zip(log.user.tolist(), log.item.tolist(), strict=True)
    clicks.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in rows))
    quick = ["--epochs", "1", "-k", "5"]
    train_it = ["train", str(clicks), "-o", str(model), "--width", "8", "--history-length", "6"]
    assert main([*train_it, *quick]) == 0
    assert main([*train_it, *quick]) == 2, "the output exists"
    file = tmp_path / "ranker.tflite"
    compress_it = ["compress", str(model), str(clicks), "-o", str(file), *quick]
    assert main([*compress_it, "--max-bytes", "1kB"]) == 2
    assert "must leave room" in capsys.readouterr().err
    assert not file.exists()
    small = tmp_path / "small.keras"
    assert main([*compress_it, "--max-bytes", "17kB", "--save-model", str(small)]) == 0
    out = capsys.readouterr().out
    assert "chosen" in out and ("lost of" in out or "more than the original's" in out)
    assert file.exists() and small.exists()
    origin = CompressedModelFile(file).description.origin
    assert (origin.model, origin.command) == ("ranker.keras", "compress")
    assert origin.settings.items() >= {"data": "clicks.csv", "max_bytes": "17000"}.items()
    assert main(["verify", str(small), str(file)]) == 0
    assert main(["rank", str(file), "--history", "3", "4", "-k", "2"]) == 0


def test_what_is_trained_beside_the_tables_is_kept(trained):
    """By its place: Dense layers have other names in every ranker of a program."""
    _, split = trained
    embedding = FullEmbedding(split.vocabulary.input_dim, WIDTH)
    model = new_ranker(split, embedding, hidden_units=(5,), item_bias=True)
    model.build_once()
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    same = uncompressed(model, model.vocabulary)
    found, wanted = (np.asarray(ranker(split.test.history))[:, 1:] for ranker in (same, model))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_model_is_held_against_the_lists_of_the_original(trained):
    model, split = trained
    original = OriginalLists(model, split, QUICK)
    same = original.held_against(uncompressed(model, model.vocabulary), split)
    assert same.first_list == same.lists == 1 and same.keeps_first_list
    assert same.before == same.after and same.shared == 0
    assert {"recall@5 head", "recall@5 tail", "coverage@5"} < set(same.after)
    table = vectors_of(model.item_embedding)
    spoilt = uncompressed(model, model.vocabulary)
    half = len(table) // 2
    table[half:] = table[half]
    spoilt.item_embedding.assign_tables({"embeddings": -table})
    other = original.held_against(spoilt, split)
    assert other.lists < 0.5 and not other.keeps_first_list
    assert other.shared == pytest.approx(0.5, abs=0.05)
    assert other.before == same.before != other.after
    assert "of the first 5 items" in str(other) and "share their vector" in str(other)


def test_a_finalist_that_keeps_the_first_list_is_taken_before_a_better_one(trained, monkeypatch):
    model, split = trained
    pair = [
        Candidate(MEmComEmbedding, {"num_buckets": 9}),
        Candidate(LowRankEmbedding, {"rank": 2}),
    ]
    final = trials.Trials.final

    def with_behaviour(keeps):
        def changed(self, trial):
            found = final(self, trial)
            first = 1.0 if trial.candidate.method in keeps else 0.0
            ndcg = 0.9 if trial.candidate.method is MEmComEmbedding else 0.8
            return replace(found, ndcg=ndcg, behaviour=replace(found.behaviour, first_list=first))

        return changed

    monkeypatch.setattr(ranker, "_BEHIND", 1.0)
    short = replace(QUICK, epochs=1)
    for keeps, chosen, told in (
        ([LowRankEmbedding], LowRankEmbedding, 0),
        ([], MEmComEmbedding, 1),
    ):
        monkeypatch.setattr(trials.Trials, "final", with_behaviour(keeps))
        lines = []
        found = compress(
            model, split, ratio=1, settings=short, candidates=pair, report=lines.append
        )
        assert found.chosen.method is chosen
        assert sum("show a new user other items" in line for line in lines) == told


def test_biases_bring_the_list_of_a_new_user_back_unless_that_costs_too_much(trained, monkeypatch):
    model, split = trained
    work = trials.Trials(model, split, QUICK, lambda line: None)
    candidate = Candidate(LowRankEmbedding, {"rank": WIDTH})  # which loses nothing
    student, renumbered = work.student(candidate)
    (table,) = student.item_bias_embedding.table_values().values()
    noise = np.random.default_rng(0).normal(size=table.shape).astype(np.float32)
    student.item_bias_embedding.assign_tables({"embeddings": table + noise})
    spoilt = [np.array(weight) for weight in student.get_weights()]
    before = work.behaviour(student, renumbered)
    assert not before.keeps_first_list
    monkeypatch.setattr(trials, "_MOST_FOR_FIRST_LIST", -9.0)
    assert work._with_first_list(student, renumbered, 0.5) == (0.5, before)
    for now, then in zip(student.get_weights(), spoilt, strict=True):
        np.testing.assert_array_equal(now, then)
    monkeypatch.setattr(trials, "_MOST_FOR_FIRST_LIST", 1.0)
    ndcg, after = work._with_first_list(student, renumbered, 0.5)
    assert after.keeps_first_list and ndcg != 0.5
    *_, last = work._lists.moved_towards_first_list(student, renumbered)
    assert last == 1 and work.behaviour(student, renumbered).first_list == 1
