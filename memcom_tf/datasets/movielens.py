"""MovieLens 100K, read from the wheel of a package that ships it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from memcom_tf.cache import CACHE_VARIABLE, cache_root
from memcom_tf.datasets.interactions import Interactions
from memcom_tf.errors import message

_PACKAGE = "recbole==1.2.1"
_WHEEL = "recbole-1.2.1-py3-none-any.whl"
_WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
_MEMBER = "recbole/dataset_example/ml-100k/ml-100k."
_TIMEOUT_SECONDS = 600


class DatasetUnavailableError(RuntimeError):
    """The data are neither in the cache nor could they be fetched."""


def movielens_100k(cache_dir: str | os.PathLike[str] | None = None) -> Interactions:
    """Returns MovieLens 100K: 943 users, 1,682 films, 100,000 ratings.

    A rating, whatever its value, counts as an interaction. The times are whole seconds in which
    users often rated several films: half of the interactions share theirs with the one before.

    The first call downloads a wheel of 2 MB with pip, checks its SHA-256 and keeps it in the
    cache; later calls need no network.

    The data are GroupLens' and not part of this package. Their terms: you may not redistribute
    them without separate permission, nor use them for commercial or revenue-bearing purposes
    without permission; you may not state or imply any endorsement from the University of
    Minnesota or the GroupLens Research Group, which guarantee nothing about the data; and
    publications must cite F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens
    Datasets: History and Context. ACM Transactions on Interactive Intelligent Systems 5, 4,
    Article 19. https://doi.org/10.1145/2827872

    Args:
        cache_dir: The cache folder; None takes the environment variable MEMCOM_TF_CACHE, or
            the user's cache folder where it is not set.

    Returns:
        The interactions in the data's own order: users and items as integers, times in seconds
        since 1970, and the details "title" ("Toy Story (1995)") and "genres" ("Action|Crime").

    Raises:
        DatasetUnavailableError: If the wheel cannot be downloaded, or is not the one expected;
            says how to provide it by hand.

    Example:
        >>> interactions = movielens_100k()
        >>> len(interactions), interactions.details["title"][50]
        (100000, 'Star Wars (1977)')
    """
    path = wheel_path(cache_dir)
    if not path.exists():
        _download(path)
    elif (found := _sha256(path)) != _WHEEL_SHA256:
        raise _unavailable(
            "The file in the cache must be the wheel expected, so it is not used.",
            path,
            sha256=found,
            expected=_WHEEL_SHA256,
        )
    return _read(path)


def wheel_path(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Returns where the wheel that holds the data is kept, whether or not it is there.

    Args:
        cache_dir: As in `movielens_100k`.

    Returns:
        The path.

    Example:
        >>> wheel_path("/cache").as_posix()
        '/cache/movielens_100k/recbole-1.2.1-py3-none-any.whl'
    """
    return cache_root(cache_dir) / "movielens_100k" / _WHEEL


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unavailable(must: str, path: Path, **received: object) -> DatasetUnavailableError:
    by_hand = (
        f"By hand: on a machine with network run `pip download --no-deps {_PACKAGE}`, and put "
        f"{_WHEEL} at {path}; or set {CACHE_VARIABLE} to a cache folder that has it under "
        f"movielens_100k/."
    )
    return DatasetUnavailableError(message(must, by_hand, **received))


def _download(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Inside the cache, so that the last step is a move within one file system.
        with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as folder:
            wheel = _run_pip(Path(folder), path)
            if (found := _sha256(wheel)) != _WHEEL_SHA256:
                raise _unavailable(
                    "The wheel downloaded must be the one expected, so it is not used.",
                    path,
                    sha256=found,
                    expected=_WHEEL_SHA256,
                )
            os.replace(wheel, path)
    except OSError as error:
        raise _unavailable(
            "The cache folder must be writable.", path, folder=str(path.parent), error=str(error)
        ) from error


def _run_pip(folder: Path, path: Path) -> Path:
    options = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, _PACKAGE, "-d", str(folder)]
    must = f"pip must be able to download {_PACKAGE}."
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unavailable(must, path, error=str(error)) from error
    wheel = folder / _WHEEL
    if done.returncode or not wheel.is_file():
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise _unavailable(must, path, exit_status=done.returncode, pip_said=" / ".join(lines[-2:]))
    return wheel


def _read(path: Path) -> Interactions:
    with zipfile.ZipFile(path) as wheel:
        rated, films = (_rows(wheel.read(_MEMBER + part)) for part in ("inter", "item"))
    return Interactions(
        user=np.array([int(row[0]) for row in rated]),
        item=np.array([int(row[1]) for row in rated]),
        time=np.array([int(row[3]) for row in rated]),
        details={
            "title": {int(film): _title(title, year) for film, title, year, _ in films},
            "genres": {int(film): genres.replace(" ", "|") for film, _, _, genres in films},
        },
    )


def _rows(content: bytes) -> list[list[str]]:
    # The first line names the columns. Not splitlines(), which also splits at rarer marks.
    return [line.split("\t") for line in content.decode().rstrip("\n").split("\n")[1:]]


def _title(title: str, year: str) -> str:
    # Two films have no year: one has another mark there, its year being in the title already.
    return f"{title} ({year})" if re.fullmatch(r"\d{4}", year) else title
