"""The page of a comparison: it stands alone, runs no text of a file, and shows what Python says."""

from __future__ import annotations

import dataclasses
import json
import re
import sys

import numpy as np
import pytest

from memcom_tf import Vocabulary
from memcom_tf.cli.main import main
from memcom_tf.converters import compare, convert, write_html
from memcom_tf.converters.inspection import page as pages
from memcom_tf.converters.inspection.html_report import html_report
from memcom_tf.evaluation import Examples
from memcom_tf.layers import FullEmbedding
from memcom_tf.models import NextItemRanker
from tests.inspection.pages import data_of, hashes_of, markup_of, policy_of

ITEMS = 40
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", "<!--", "\x1b[2J")
WORDS = [*HOSTILE, *(f"item {place}" for place in range(ITEMS - 1 - len(HOSTILE)))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    table = np.random.default_rng(5).normal(size=(ITEMS, 8)).astype(np.float32)
    titles = dict(enumerate(WORDS))
    vocabulary = Vocabulary(list(titles), details={"title": titles}, counts=[5] * len(titles))
    embedding = FullEmbedding(ITEMS, 8, weights=table)
    model = NextItemRanker(embedding, history_length=4, vocabulary=vocabulary)
    model.build((None, 4))
    for kind in ("float32", "int8", "int4"):
        convert(model, k=5, weights=kind, verify=False).save(folder / f"<b>{kind}.tflite")
    return folder


@pytest.fixture(scope="module")
def comparison(folder):
    rng = np.random.default_rng(7)
    histories = np.stack([rng.permutation(np.arange(1, ITEMS))[:5] for _ in range(30)])
    histories[0] = [1, 2, 3, 4, 5]  # the hostile ones
    examples = Examples(histories[:, :4], histories[:, 4], np.arange(30))
    reference = folder / "<b>float32.tflite"
    return compare([folder], reference=reference, examples=examples, repeats=1)


@pytest.fixture(scope="module")
def page(comparison):
    return html_report(comparison)


def test_the_data_are_what_python_returns(page, comparison):
    expected = json.loads(json.dumps(dataclasses.asdict(comparison)))
    data = data_of(page)["comparison"]
    assert data["titles"]["1"] == HOSTILE[0] and data["titles"]["4"] == "\ufffd[2J"
    assert data == expected
    assert data["files"][data["smallest"]]["summary"] == data["summary"]


def test_no_text_of_a_file_ends_the_data_or_becomes_an_element(page):
    text = page.partition('id="data">')[2].partition("</script>")[0]
    assert not set("<>&") & set(text)
    assert json.loads(text)
    markup = markup_of(page)
    assert "&lt;b&gt;int" in markup
    for tag in ("<b>", "<img", "onerror", "<!--"):
        assert tag not in markup


def test_the_policy_lets_two_scripts_run_and_nothing_load(page):
    policy = policy_of(page)
    scripts, styles = hashes_of(page)
    assert len(scripts) == 2 and len(styles) == 1
    assert policy == {
        "default-src": ["'none'"],
        "script-src": scripts,
        "style-src": styles,
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_a_page_asks_nothing_of_any_network(page):
    markup = markup_of(page)
    assert not re.findall(r"https?:|//\w|<link|<iframe|<object|@import|url\(", markup)
    assert not re.findall(r"\b(?:src|href|action|style|on\w+)=", markup)
    # What the scripts of ours could load with, and what could make elements of texts.
    ours = page.rpartition("<script>")[2]
    assert not re.findall(r"https?:|fetch\(|XMLHttp|import\(|innerHTML|insertAdjacent|eval\(", ours)
    assert "ast: true" in ours


def test_a_script_ends_where_its_element_ends(page):
    assert page.count("<script") == page.count("</script") == 3


def test_the_first_sentence_is_there_without_scripts(page, comparison):
    markup = markup_of(page)
    summary = comparison.summary.replace("<", "&lt;").replace(">", "&gt;")
    assert f'<p id="summary" aria-live="polite">{summary}</p>' in markup
    assert "need JavaScript" in markup


def test_what_draws_charts_comes_with_its_licence(page):
    markup = markup_of(page)
    assert "University of Washington Interactive Data Lab" in markup
    assert "Redistributions in binary form must reproduce" in markup


def test_numbers_that_json_does_not_have_are_left_out():
    values = {"a": [float("nan"), 1.5], "b": float("-inf"), "c": 2**60}
    assert pages.shown(values) == {"a": [None, 1.5], "b": None, "c": 2**60}
    with pytest.raises(ValueError, match="not JSON compliant"):
        pages.page("title", "summary", values)


def test_without_the_library_the_extra_is_named(folder, comparison, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    pages._library.cache_clear()
    try:
        with pytest.raises(ImportError, match=r'Run: pip install "memcom_tf\[report\]"'):
            write_html(comparison, tmp_path / "runs.html")
        # The commands say so before the work: a file that is missing is not looked for.
        words = [str(folder / "none.tflite"), "--html", str(tmp_path / "runs.html")]
        assert main(["compare", *words]) == 2
        assert 'pip install "memcom_tf[report]"' in capsys.readouterr().err
    finally:
        pages._library.cache_clear()
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_page_whole_and_replaces_none(folder, tmp_path, capsys):
    output = tmp_path / "runs.html"
    words = ["compare", str(folder), "--html", str(output)]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert data_of(output.read_text())["comparison"] == printed
    output.write_text("mine")
    assert main(words) == 2
    assert "must not exist" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert len(data_of(output.read_text())["comparison"]["files"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["runs.html"]


def test_a_page_that_cannot_be_written_is_known_before_the_work(folder, tmp_path, capsys):
    words = ["compare", str(folder / "none.tflite"), str(folder), "--html"]
    assert main([*words, str(tmp_path / "none" / "runs.html")]) == 2
    assert "folder of the output must exist" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "runs.txt")]) == 2
    assert "must end in .html" in capsys.readouterr().err


def test_a_write_that_fails_leaves_the_old_page(comparison, tmp_path, monkeypatch):
    output = tmp_path / "runs.html"
    output.write_text("mine")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memcom_tf.files.os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_html(comparison, output)
    assert output.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["runs.html"]
