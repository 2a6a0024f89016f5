"""The tutorials run from top to bottom, as a reader runs them, and are pages of the site."""

from __future__ import annotations

import nbformat
import pytest

from docs_site import notebooks, pages
from memcom_tf._keras import is_keras_3
from tests.project.test_readme import README

PATHS = sorted((pages.ROOT / "docs" / "tutorials").glob("*.ipynb"))
MOST_CELLS = 12


def of_kind(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


@pytest.mark.skipif(not is_keras_3, reason="the tutorials import keras")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_ends_in_something_to_look_at(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    notebooks.executed(notebook, tmp_path)
    assert of_kind(notebook, "code")[-1].outputs
    assert list(tmp_path.glob("*.tflite"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_tutorial_says_what_each_cell_is_for_and_holds_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    before = notebook.cells[0]
    for cell in notebook.cells[1:]:
        if cell.cell_type == "code":
            assert before.cell_type == "markdown"
            assert not cell.outputs and cell.execution_count is None, "clear all outputs"
        before = cell
    assert len(of_kind(notebook, "code")) <= MOST_CELLS
    assert 'pip install "memcom_tf[tutorials]"' in notebook.cells[0].source
    assert f"(docs/tutorials/{path.name})" in README


def test_a_page_has_the_text_the_code_and_the_notebook_itself():
    made = notebooks.as_page(PATHS[0], run=False)
    (name,) = made
    assert name == f"{PATHS[0].stem}.md"
    assert made[name].startswith("# ")
    assert "```python\n" in made[name]
    assert f'<a href="{PATHS[0].name}" download>' in made[name]


def test_a_page_that_was_run_has_outputs_and_pictures(tmp_path):
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint(6 * 7)\n"
    code += "import sys\nprint('a log', file=sys.stderr)"
    cell = nbformat.v4.new_code_cell(code)
    path = tmp_path / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    made = notebooks.as_page(path, run=True)
    (picture,) = (name for name in made if name.endswith(".png"))
    assert picture.startswith("small_files/") and picture in made["small.md"]
    assert "42" in made["small.md"]
    assert made["small.md"].count("a log") == 1  # in the code
