"""What an earlier version saved is loaded, and answers as it did (see `tests.earlier_files`)."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from memcom_tf._keras import is_keras_3, keras
from memcom_tf.converters import CompressedModelFile
from tests.earlier_files import lists_of, scores_of

ARCHIVES = sorted((Path(__file__).parents[1] / "golden").glob("files-*"))


def names_in(archive):
    if archive.suffix == ".zip":
        return zipfile.ZipFile(archive).namelist()
    with tarfile.open(archive) as content:
        return content.getnames()


NAMES = [
    (archive, name) for archive in ARCHIVES for name in names_in(archive) if name != "answers.json"
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The folder of an archive."""
    folders = {}
    for archive in ARCHIVES:
        folders[archive] = tmp_path_factory.mktemp("earlier")
        shutil.unpack_archive(archive, folders[archive])
    return folders


@pytest.mark.skipif(not is_keras_3, reason="models are files of Keras 3")
@pytest.mark.parametrize(
    ("archive", "name"), NAMES, ids=[f"{archive.stem}/{name}" for archive, name in NAMES]
)
def test_it_is_loaded_and_answers_as_it_did(archive, name, unpacked):
    path = unpacked[archive] / name
    wanted = json.loads((unpacked[archive] / "answers.json").read_text())[name]
    if path.suffix == ".keras":
        found = scores_of(keras.models.load_model(path))
        np.testing.assert_allclose(found, wanted, atol=2e-6, rtol=1e-6)
        return
    found = lists_of(CompressedModelFile(path))
    for (ids, scores), (wanted_ids, wanted_scores) in zip(found, wanted, strict=True):
        assert ids == wanted_ids
        np.testing.assert_allclose(scores, wanted_scores, atol=2e-5, rtol=1e-5)
