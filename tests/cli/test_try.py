"""`memcom try`: a file that ranks and is inspected, before any training."""

from __future__ import annotations

import json

import pytest

from memcom_tf._keras import is_keras_3
from memcom_tf.cli.main import main

pytestmark = pytest.mark.skipif(not is_keras_3, reason="the same in tf_keras")


def test_a_file_that_is_made_in_seconds_ranks_and_is_inspected(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["try", "--json"]) == 0
    out, error = capsys.readouterr()
    ranked = [item["title"] for item in json.loads(out)]
    assert len(ranked) == 5 and all(title.endswith(" soup") for title in ranked)
    assert error.splitlines()[-1].startswith(
        "memcom: wrote memcom-try.tflite; next: memcom inspect"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["memcom-try.tflite"]

    assert main(["rank", "memcom-try.tflite", "--history", "Apple pie", "-k", "3"]) == 0
    assert capsys.readouterr().out.count(" pie ") == 3
    assert main(["inspect", "memcom-try.tflite"]) == 0
    assert "dishes_ranker" in capsys.readouterr().out
    assert main(["try"]) == 2
    assert "must not exist" in capsys.readouterr().err
    assert main(["try", "-o", "other.txt"]) == 2
    assert "must end in .tflite" in capsys.readouterr().err
