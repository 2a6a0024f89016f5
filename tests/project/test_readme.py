"""The README is run: its Python, its commands, its tables."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from memcom_tf._keras import is_keras_3
from memcom_tf.cli.main import _parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)

ONE_AFTER_THE_OTHER = """
import json, sys
from memcom_tf.converters.cli import main

for words in json.loads(sys.argv[1]):
    if main(words):
        sys.exit(f"failed: {words}")
    print("<end>")
"""
"""Commands in one process, which imports TensorFlow once."""


def commands(program: str) -> list[str]:
    lines = "\n".join(text for kind, text in BLOCKS if kind == "console").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.startswith(program)]


def test_every_block_is_of_a_kind_that_is_run():
    assert {kind for kind, _ in BLOCKS} <= {"python", "console"}
    known = ("make ", "pip install ", "memcom ")
    lines = "\n".join(text for kind, text in BLOCKS if kind == "console").splitlines()
    assert all(line.startswith(known) for line in lines if line)


@pytest.mark.skipif(not is_keras_3, reason="the README imports keras")
@pytest.mark.parametrize(
    "of_all_tasks", [False, pytest.param(True, marks=pytest.mark.long)], ids=["rankers", "all"]
)
def test_python_and_memcom_run_as_printed(tmp_path, of_all_tasks):
    program = "\n".join(text for kind, text in BLOCKS if kind == "python")
    script = tmp_path / "readme.py"
    script.write_text(program)
    run = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "bytes, ratio 16" in run.stdout
    assert "Film " in run.stdout
    words = [shlex.split(command)[1:] for command in commands("memcom")]
    if not of_all_tasks:
        words = words[: next(at for at, found in enumerate(words) if "--task" in found)]
    assert len(words) > 9
    run = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("<end>") == len(words)
    assert "<end>\n<end>" not in run.stdout, "a command printed nothing"


def test_commands_have_arguments_of_the_parser():
    for command in commands("memcom"):
        assert _parser().parse_args(shlex.split(command)[1:]).run


def test_make_targets_exist():
    for command in commands("make"):
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_extras_exist():
    setup = (ROOT / "setup.cfg").read_text()
    for command in commands("pip"):
        for extra in re.findall(r"\w+", "".join(re.findall(r"\[(.*?)\]", command))):
            assert f"\n{extra} =\n" in setup


def test_the_method_table_is_current():
    from benchmarks.quality.method_table import END, START, method_table

    assert START + method_table() + END in README


def test_the_pages_of_the_families_are_current():
    from benchmarks.quality.method_table import END, START, family_table, pages
    from memcom_tf.layers import METHODS, FullEmbedding

    of_families = pages()
    named = [method for methods in of_families.values() for method in methods]
    assert {*named, FullEmbedding} == set(METHODS.values())
    for page, methods in of_families.items():
        text = page.read_text()
        assert START + family_table(methods) + END in text
        assert f"(memcom_tf/layers/{page.parent.name}/README.md)" in README
        assert all(f"**{part}" in text for part in ("When.**", "In training**", "In a file**"))


def test_the_results_are_those_of_the_benchmark():
    results = (ROOT / "benchmarks" / "results" / "movielens.md").read_text()
    rows = [line for line in results.splitlines() if line.startswith("|")]
    assert rows
    assert all(row in README for row in rows)


def test_the_tables_of_quality_are_current():
    from benchmarks.quality.tables import TABLES, placed

    assert len(TABLES) == 3
    for name in TABLES:
        assert placed(name) in README, f"run python -m benchmarks.quality.tables --write: {name}"


def test_the_times_of_ordering_are_those_of_the_benchmark():
    results = (ROOT / "benchmarks" / "results" / "ordering.md").read_text()
    rows = [line for line in results.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert all(row in README for row in rows)


def test_the_training_times_are_those_of_the_benchmark():
    results = (ROOT / "benchmarks" / "results" / "training_step.md").read_text()
    table = results.split("## Targets")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert all(row in README for row in rows)


@pytest.mark.parametrize(
    "section",
    [
        "lookups alone",
        "vocabulary scaling",
        "scale",
        "click_criteo_80k",
        "click_ml_tag_200k",
        "classification_newsgroups",
        "text_vectors",
    ],
)
def test_rows_are_those_of_the_benchmark(section):
    name = {"lookups alone": "lookup_kernels"}.get(section, section.replace(" ", "_"))
    results = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text()
    text = README.split(f"<!-- {section} -->")[1].split(f"<!-- end of {section} -->")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 5
    assert all(row in results for row in rows)


def test_the_map_names_what_is_there():
    section = README.split("## Where things are")[1].split("##")[0]
    for first in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE):
        for name in re.findall(r"`([\w./]+)`", first):
            assert (ROOT / name).exists() or (ROOT / "memcom_tf" / name).exists(), name


def test_the_files_of_other_converters_are_those_of_the_benchmark():
    results = json.loads((ROOT / "benchmarks" / "results" / "export.json").read_text())
    for found in results["models"].values():
        rows = [row for row in found["routes"].values() if "failed" not in row]
        assert len(rows) == 6
        for row in rows:
            assert f"| {row['bytes']:,} " in README
