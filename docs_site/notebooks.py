"""Notebooks as pages of the site, with what they print where they are run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

SECONDS = 600
"""How long a cell may take."""


def as_page(path: Path, *, run: bool) -> dict[str, str | bytes]:
    """The Markdown of a notebook, and its pictures.

    Args:
        path: The notebook.
        run: Whether to run it first.

    Returns:
        Contents by file: the page, `NAME.md`, and what it shows beside it.
    """
    notebook = nbformat.read(path, as_version=4)
    if run:
        with tempfile.TemporaryDirectory() as folder:
            executed(notebook, Path(folder))
        _leave_logs_out(notebook)
    resources = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    link = f'<a href="{path.name}" download>Download the notebook</a>, and run it in Jupyter.'
    return {f"{path.stem}.md": f"{text.rstrip()}\n\n{link}\n", **resources["outputs"]}


def executed(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Runs a notebook from top to bottom, in a folder; an error of a cell is raised."""
    of_folder = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=of_folder).execute()


def _leave_logs_out(notebook: nbformat.NotebookNode) -> None:
    """Takes what libraries log of the machine out of the outputs."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
