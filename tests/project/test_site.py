"""The manual as a site: every page has its place, every public name its entry."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from docs_site import pages, reference
from docs_site.loads import loads_from_elsewhere
from memcom_tf.cli.main import _parser

ROOT = pages.ROOT


def in_nav(entry):
    """The pages that a part of `nav` names."""
    if isinstance(entry, str):
        return [entry]
    parts = entry if isinstance(entry, list) else entry.values()
    return [page for part in parts for page in in_nav(part)]


@pytest.fixture(scope="module")
def nav():
    return in_nav(load_config(str(ROOT / "mkdocs.yml"))["nav"])


def test_the_nav_names_every_page_once(nav):
    assert len(nav) == len(set(nav))
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name in nav
    for path in (ROOT / "benchmarks" / "results").glob("*.md"):
        assert f"results/{path.name}" in nav
    of_files = [place for place in pages.published().values() if place.endswith(".md")]
    assert sorted(nav) == sorted([*of_files, *reference.pages()])


@pytest.mark.parametrize("package", reference.PACKAGES)
def test_every_public_name_has_an_entry(package):
    text = reference.pages()[f"reference/{package}.md"]
    entries = re.findall(r"^::: (\S+)$|^\| \[?`(\w+)`", text, re.MULTILINE)
    names = [name.rpartition(".")[2] or alone for name, alone in entries]
    assert sorted(names) == sorted(importlib.import_module(package).__all__)


def test_every_command_and_option_has_an_entry():
    text = reference.pages()["reference/command_line.md"]
    actions = (action.choices for action in _parser()._actions)
    commands = next(choices for choices in actions if isinstance(choices, dict))
    assert re.findall(r"^## memcom (.+)$", text, re.MULTILINE) == list(commands)
    sections = text.split("\n## ")[1:]
    for section, command in zip(sections, commands.values(), strict=True):
        entries = " ".join(re.findall(r"^`(.+)`$", section, re.MULTILINE))
        missing = set(command._option_string_actions) - set(re.split("[ ,]+", entries))
        assert missing == {"-h", "--help"}


def test_the_reference_is_made_without_tensorflow():
    code = "import sys; from docs_site import reference; reference.pages(); "
    code += "sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    handlers = load_config(str(ROOT / "mkdocs.yml"))["plugins"]["mkdocstrings"].config.handlers
    assert handlers["python"]["options"]["allow_inspection"] is False


def test_links_lead_to_pages_of_the_site():
    places = pages.published()
    text = "[a](../README.md) [b](results.md#how) `[c](results.md)` [d](https://example.org/a.md)"
    assert pages.with_links_of_the_site(text, "docs/methods.md", places) == text.replace(
        "../README.md", "index.md"
    )
    page = "[e](../../docs/results.md#how)\n```python\nf[0](../../docs/results.md)\n```\n"
    moved = pages.with_links_of_the_site(page, "benchmarks/results/scale.md", places)
    assert moved == page.replace("../../docs/results.md#how", "../results.md#how")


def test_layers_of_a_table_lead_to_their_reference():
    table = "| layer | is |\n|---|---|\n| `FullEmbedding` | a `HashedEmbedding` |\n"
    link = "[`FullEmbedding`][memcom_tf.layers.FullEmbedding]"
    assert pages.with_links_to_layers(table) == table.replace("`FullEmbedding`", link)


def test_code_that_a_page_links_to_has_a_page():
    shown = pages.linked(pages.published())
    assert shown["examples/query_towers.py"] == "files/examples/query_towers.py.md"
    source = (ROOT / "examples" / "query_towers.py").read_text()
    assert source.rstrip() in pages.as_page("examples/query_towers.py")


def test_make_test_builds_the_site_and_stops_at_warnings():
    command = ["make", "--dry-run", "--no-print-directory", "test"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    line = next(line for line in run.stdout.splitlines() if "mkdocs build" in line)
    assert "--strict" in line
    assert "--quiet" not in line


def built(tmp_path, text):
    """A site of one page, with the theme, the styles and the search of ours."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(text)
    config = load_config(
        str(ROOT / "mkdocs.yml"),
        docs_dir=str(tmp_path / "docs"),
        site_dir=str(tmp_path / "site"),
        **{"nav": None, "hooks": [], "plugins": ["search"]},
    )
    build(config)
    return tmp_path / "site"


def test_pages_load_nothing_from_another_host(tmp_path):
    site = built(tmp_path, "# A page\n\n[a link](https://example.org)\n")
    assert len(list(site.rglob("*.css"))) > 1
    assert list(loads_from_elsewhere(site)) == []


@pytest.mark.parametrize(
    "markup",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="//example.org/a.css">',
        "<img alt=picture src=https://example.org/a.png>",
        "<style>@import url(https://example.org/a.css);</style>",
    ],
)
def test_what_a_page_loads_is_found(tmp_path, markup):
    (tmp_path / "a.html").write_text(markup)
    assert len(list(loads_from_elsewhere(tmp_path))) == 1
