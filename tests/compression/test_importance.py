"""What rows of tables are worth to a click model."""

from __future__ import annotations

import numpy as np
import pytest

from memcom_tf.compression import shapley_importance
from memcom_tf.datasets import Rows
from memcom_tf.evaluation import click_metrics
from memcom_tf.features import fit_features
from memcom_tf.models import ClickModel


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    site, noise = rng.integers(0, 12, 700), rng.integers(0, 5, 700)
    genres = ["|".join(rng.choice(list("abc"), rng.integers(0, 3), replace=False)) for _ in site]
    label = rng.random(700) < np.where(site % 2, 0.8, 0.2)
    return Rows.of(
        {"site": site, "noise": noise, "genres": genres},
        {"age": rng.normal(size=700)},
        label=label,
        several={"genres": "|"},
    )


@pytest.fixture(scope="module")
def model(rows):
    """A model that knows the sites, and of other fields something that is wrong."""
    found = ClickModel(
        fit_features(rows, min_count=1), width=2, interaction="wide", hidden_units=()
    )
    found.build_once()
    rng = np.random.default_rng(1)
    table = 0.1 * rng.normal(size=found.joint.table_values()["embeddings"].shape)
    sites = found.features.vocabularies["site"]
    for site in range(12):
        table[found.rows_of("site").start + int(sites.ids([str(site)])[0])] = (
            1.2 if site % 2 else -1.2
        )
    found.joint.assign_tables({"embeddings": table})
    kernel = found._wide.kernel
    found._wide.kernel.assign(np.ones(kernel.shape) * 0.5)
    return found


def test_credits_add_up_to_what_the_loss_falls_by(model, rows):
    credits = shapley_importance(model, rows, permutations=3)
    inputs = model.features.encode(rows)
    means = np.asarray(model.vectors(inputs)).mean(axis=0, keepdims=True)
    # The vectors of numbers have no table: they are seen in both.
    vectors = np.asarray(model.vectors(inputs)).copy()
    vectors[:, :3] = means[:, :3]
    losses = []
    for seen in (vectors, np.asarray(model.vectors(inputs))):
        p = 1 / (1 + np.exp(-np.asarray(model.logits_of_vectors(seen), np.float64)))
        losses.append(click_metrics(p[:, 0], rows.labels)["log loss"])
    total = sum(of_table.sum() for of_table in credits.values())
    # Numbers are seen somewhere among the others, which changes little.
    assert total == pytest.approx(losses[0] - losses[1], abs=5e-3)
    assert losses[0] - losses[1] > 0.1


def test_what_tells_has_credit_and_noise_has_none(model, rows):
    credits = shapley_importance(model, rows)
    assert credits["site"].sum() > 20 * abs(credits["noise"].sum())
    known = model.features.vocabularies["site"].ids([str(site) for site in range(12)])
    assert (credits["site"][known] > 0).all()
    others = np.setdiff1d(np.arange(len(credits["site"])), known)
    assert not credits["site"][others].any()


def test_it_is_the_same_for_a_seed(model, rows):
    first, second = (shapley_importance(model, rows, seed=3) for _ in range(2))
    other = shapley_importance(model, rows, seed=4)
    np.testing.assert_array_equal(first["site"], second["site"])
    assert (first["site"] != other["site"]).any()


def test_rows_without_labels_are_refused(model, rows):
    with pytest.raises(ValueError, match="There must be a row"):
        shapley_importance(model, rows[:0])
    with pytest.raises(ValueError, match="must have labels"):
        shapley_importance(
            model, Rows.of({"site": [1], "noise": [1], "genres": ["a"]}, {"age": [1]})
        )
    with pytest.raises(ValueError, match="`permutations` must be a positive integer"):
        shapley_importance(model, rows, permutations=0)
