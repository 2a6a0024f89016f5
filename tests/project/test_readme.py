"""The README and the manual are run: their Python, their commands, their tables."""

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
PAGES = (
    *("layers", "methods", "training", "rankers", "any_model", "compress", "large_logs"),
    "workers",
    *("clicks", "texts", "phone", "results", "contribute", "limits"),
)
"""Of the manual, in the order in which they are read: code goes on from page to page."""
MANUAL = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in PAGES)
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall(MANUAL)

ONE_AFTER_THE_OTHER = """
import json, sys
from memcom_tf.converters.cli import main

for words in json.loads(sys.argv[1]):
    if main(words):
        sys.exit(f"failed: {words}")
    print("<end>")
"""
"""Commands in one process, which imports TensorFlow once."""


def commands(program: str, text: str = README + MANUAL) -> list[str]:
    blocks = BLOCK.findall(text)
    lines = "\n".join(code for kind, code in blocks if kind == "console").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.startswith(program)]


def test_every_block_is_of_a_kind_that_is_run():
    blocks = BLOCK.findall(README + MANUAL)
    assert {kind for kind, _ in blocks} <= {"python", "console"}
    known = ("make ", "pip install ", "memcom ")
    lines = "\n".join(text for kind, text in blocks if kind == "console").splitlines()
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
    words = [shlex.split(command)[1:] for command in commands("memcom", MANUAL)]
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


def test_every_page_is_read_and_is_in_the_readme():
    assert sorted(PAGES) == sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    for name in PAGES:
        assert f"(docs/{name}.md)" in README


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link}"


@pytest.mark.skipif(not is_keras_3, reason="the README imports keras")
def test_python_of_the_readme_runs_alone(tmp_path):
    for kind, code in BLOCK.findall(README):
        if kind == "python":
            run = subprocess.run(
                [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert run.returncode == 0, run.stderr
            assert re.search(r"\d bytes", run.stdout)


@pytest.mark.skipif(not is_keras_3, reason="the README is of Keras 3")
def test_commands_of_the_readme_rank_a_log(tmp_path):
    lines = ["userId,movieId,timestamp,title"]
    lines += [
        f"{user},{item},{step},Film {item}"
        for user in range(100)
        for step, item in enumerate(range(user % 7, 300, 13))
    ]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    words = [shlex.split(command)[1:] for command in commands("memcom", README)]
    run = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Film " in run.stdout.split("<end>")[-3]


def test_figures_of_the_readme_are_those_of_the_manual():
    rows = [line for line in README.splitlines() if re.match(r"\| .*\d{2,3},\d{3} \|", line)]
    assert len(rows) == 11
    for row in rows:
        for figure in re.findall(r"[\d,]{6,}|\d\.\d{4}(?: ± \d\.\d{4})?", row):
            assert figure in MANUAL, figure


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

    assert START + method_table() + END in MANUAL


def test_the_pages_of_the_families_are_current():
    from benchmarks.quality.method_table import END, START, family_table, pages
    from memcom_tf.layers import METHODS, FullEmbedding

    of_families = pages()
    named = [method for methods in of_families.values() for method in methods]
    assert {*named, FullEmbedding} == set(METHODS.values())
    for page, methods in of_families.items():
        text = page.read_text()
        assert START + family_table(methods) + END in text
        assert f"(../memcom_tf/layers/{page.parent.name}/README.md)" in MANUAL
        assert all(f"**{part}" in text for part in ("When.**", "In training**", "In a file**"))


def test_the_results_are_those_of_the_benchmark():
    results = (ROOT / "benchmarks" / "results" / "movielens.md").read_text()
    rows = [line for line in results.splitlines() if line.startswith("|")]
    assert rows
    assert all(row in MANUAL for row in rows)


def test_the_tables_of_quality_are_current():
    from benchmarks.quality.tables import TABLES, placed

    assert len(TABLES) == 3
    for name in TABLES:
        assert placed(name) in MANUAL, f"run python -m benchmarks.quality.tables --write: {name}"


def test_the_times_of_ordering_are_those_of_the_benchmark():
    results = (ROOT / "benchmarks" / "results" / "ordering.md").read_text()
    rows = [line for line in results.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert all(row in MANUAL for row in rows)


def test_the_training_times_are_those_of_the_benchmark():
    results = (ROOT / "benchmarks" / "results" / "training_step.md").read_text()
    table = results.split("## Targets")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert all(row in MANUAL for row in rows)


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
        "training_fields",
        "million",
        "workers",
    ],
)
def test_rows_are_those_of_the_benchmark(section):
    name = {"lookups alone": "lookup_kernels"}.get(section, section.replace(" ", "_"))
    results = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text()
    text = MANUAL.split(f"<!-- {section} -->")[1].split(f"<!-- end of {section} -->")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 5
    assert all(row in results for row in rows)


def test_the_map_names_what_is_there():
    section = MANUAL.split("## Where things are")[1].split("##")[0]
    for first in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE):
        for name in re.findall(r"`([\w./]+)`", first):
            assert (ROOT / name).exists() or (ROOT / "memcom_tf" / name).exists(), name


def test_the_files_of_other_converters_are_those_of_the_benchmark():
    results = json.loads((ROOT / "benchmarks" / "results" / "export.json").read_text())
    for found in results["models"].values():
        rows = [row for row in found["routes"].values() if "failed" not in row]
        assert len(rows) == 6
        for row in rows:
            assert f"| {row['bytes']:,} " in MANUAL
