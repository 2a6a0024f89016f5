"""Interactions in memory, and MovieLens 100K from a wheel in the cache."""

import hashlib
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from memcom_tf.datasets import Interactions, __main__, movielens, movielens_100k
from memcom_tf.datasets.movielens import DatasetUnavailableError, wheel_path


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": [1], "item": [1, 2]}, "equal lengths. Received: user=1, item=2"),
        ({"user": [1], "item": [1], "time": [1, 2]}, "equal lengths"),
        ({"user": [], "item": []}, "must be interactions"),
        ({"user": [1.5], "item": [1]}, "`user` must be strings or integers"),
        ({"user": [1], "item": [None]}, "`item` must not have missing values"),
        ({"user": [[1]], "item": [1]}, "`user` must have one dimension"),
        ({"user": [1], "item": [1], "time": ["noon"]}, "`time` must be numbers or datetime64"),
        ({"user": [1], "item": [1], "time": [np.nan]}, "`time` must not have missing"),
        ({"user": [1], "item": [1], "time": [np.datetime64("NaT")]}, "`time` must not have miss"),
        ({"user": [1], "item": [1], "time": [[1]]}, "`time` must have one dimension"),
    ],
)
def test_interactions_are_checked(columns, message):
    with pytest.raises(ValueError, match=message):
        Interactions(**columns)


def test_interactions_keep_large_integers():
    interactions = Interactions(user=[2**64, 1], item=["a", "b"], time=pd.Series([3, 2]))
    assert interactions.user.tolist() == [2**64, 1]
    assert len(interactions) == 2
    with pytest.raises(AttributeError):
        interactions.user = None
    assert repr(interactions) == "<Interactions: 2 of 2 users with 2 items>"
    later = interactions[[1]]
    assert (later.user.tolist(), later.item.tolist(), later.time.tolist()) == ([1], ["b"], [2])


@pytest.fixture
def fake_wheel(tmp_path, monkeypatch):
    """A wheel with three films and its checksum in the place of the true one."""
    path = tmp_path / "elsewhere" / movielens._WHEEL
    path.parent.mkdir()
    films = (
        "id\ttitle\tyear\tclass\n1\tToy Story\t1995\tAnimation Comedy\n"
        "267\tunknown\tunknown\tunknown\n1412\tLand (1995)\tV\tAnimation\n"
    )
    rated = "user\titem\trating\ttime\n5\t1\t3\t99\n5\t267\t4\t98\n6\t1412\t1\t97\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(movielens._MEMBER + "item", films)
        wheel.writestr(movielens._MEMBER + "inter", rated)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(movielens, "_WHEEL_SHA256", digest)
    return path


def fake_pip(monkeypatch, content=None, status=0, stderr=""):
    calls = []

    def run(command, **_):
        calls.append(command)
        if content is not None:
            with open(f"{command[-1]}/{movielens._WHEEL}", "wb") as file:
                file.write(content)
        return SimpleNamespace(returncode=status, stdout="", stderr=stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_movielens_is_downloaded_once(tmp_path, monkeypatch, fake_wheel):
    calls = fake_pip(monkeypatch, fake_wheel.read_bytes())
    monkeypatch.setenv("MEMCOM_TF_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        interactions = movielens_100k()
    assert len(calls) == 1
    assert calls[0][1:4] == ["-m", "pip", "download"]
    assert "recbole==1.2.1" in calls[0]
    assert [path.name for path in (tmp_path / "cache/movielens_100k").iterdir()] == [
        movielens._WHEEL
    ]
    assert interactions.user.tolist() == [5, 5, 6]
    assert interactions.item.tolist() == [1, 267, 1412]
    assert interactions.time.tolist() == [99, 98, 97]
    assert interactions.details == {
        "title": {1: "Toy Story (1995)", 267: "unknown", 1412: "Land (1995)"},
        "genres": {1: "Animation|Comedy", 267: "unknown", 1412: "Animation"},
    }


@pytest.mark.parametrize(
    ("pip", "message"),
    [
        ({"status": 1, "stderr": "x\nERROR: a\nERROR: no network\n"}, "ERROR: a / ERROR: no net"),
        ({"status": 1, "stderr": "No module named pip"}, "No module named pip"),
        ({"status": 0}, "must be able to download"),
        ({"content": b"other"}, "The wheel downloaded must be the one expected"),
    ],
)
def test_a_failed_download_says_how_to_do_it_by_hand(tmp_path, monkeypatch, pip, message):
    fake_pip(monkeypatch, **pip)
    with pytest.raises(DatasetUnavailableError, match=message) as caught:
        movielens_100k(tmp_path)
    text = str(caught.value)
    assert f"put {movielens._WHEEL} at {wheel_path(tmp_path)}" in text
    assert "pip download --no-deps recbole==1.2.1" in text
    assert "MEMCOM_TF_CACHE" in text
    assert not list(tmp_path.rglob("*.whl"))


@pytest.mark.parametrize("error", [OSError("no python"), subprocess.TimeoutExpired("pip", 600)])
def test_pip_that_does_not_run(tmp_path, monkeypatch, error):
    def run(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DatasetUnavailableError, match="pip must be able to download"):
        movielens_100k(tmp_path)


def test_a_cache_that_is_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetUnavailableError, match="cache folder must be writable"):
        movielens_100k(tmp_path / "file")


def test_a_wheel_put_by_hand_is_used_or_left_alone(tmp_path, monkeypatch, fake_wheel):
    calls = fake_pip(monkeypatch, status=1)
    path = wheel_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(fake_wheel.read_bytes())
    assert len(movielens_100k(tmp_path)) == 3
    path.write_bytes(b"something else")
    with pytest.raises(DatasetUnavailableError, match="in the cache must be the wheel expected"):
        movielens_100k(tmp_path)
    assert path.read_bytes() == b"something else"
    assert not calls


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("MEMCOM_TF_CACHE", "from_environment")
    assert wheel_path().parts[-3] == "from_environment"
    assert wheel_path("argument").parts[-3] == "argument"
    assert wheel_path("~/it").is_relative_to(Path.home())
    monkeypatch.delenv("MEMCOM_TF_CACHE")
    assert "memcom_tf" in wheel_path().parts


def test_command(tmp_path, monkeypatch, fake_wheel, capsys):
    fake_pip(monkeypatch, fake_wheel.read_bytes())
    assert __main__.main(["--cache-dir", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "2 users, 3 items, 3 interactions" in output
    assert str(wheel_path(tmp_path)) in output
    fake_pip(monkeypatch, status=1)
    assert __main__.main(["--cache-dir", str(tmp_path / "other")]) == 1
    assert "By hand" in capsys.readouterr().err


def test_real_movielens_100k():
    interactions = movielens_100k()
    assert len(interactions) == 100_000
    assert len(np.unique(interactions.user)) == 943
    assert np.unique(interactions.item).tolist() == list(range(1, 1683))
    titles, genres = interactions.details["title"], interactions.details["genres"]
    assert len(titles) == len(genres) == 1682
    assert titles[12] == "Usual Suspects, The (1995)"
    assert titles[543] == "Misérables, Les (1995)"
    assert titles[1412] == "Land Before Time III: The Time of the Great Giving (1995)"
    assert titles[267] == "unkonwn", "the data's own words"
    assert genres[1] == "Animation|Children's|Comedy"
