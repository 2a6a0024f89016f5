"""`memcom compare`: any number of .tflite files beside each other, also as a page."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from memcom_tf.cli import model_options
from memcom_tf.cli.commands import DONE, check_page, load_examples


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="MODEL.tflite",
        help="two files or more; a folder stands for all .tflite files in it",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="MODEL.tflite",
        help="the file that the others are held against (the first)",
    )
    model_options.add_examples(parser)
    parser.add_argument(
        "--html", type=Path, metavar="RUNS.html", help="write a page with charts and lists as well"
    )
    parser.add_argument("--force", action="store_true", help="replace the page if it exists")
    parser.add_argument("--json", action="store_true", help="print JSON")


def compare(options: argparse.Namespace) -> int:
    """Shows files side by side."""
    if options.html is not None:
        check_page(options.html, options.force)
    from memcom_tf.converters.inspection.compared_paths import files_to_compare
    from memcom_tf.converters.inspection.comparison import compare

    paths, at = files_to_compare(options.paths, options.reference)
    comparison = compare(paths, reference=paths[at], examples=_examples(options, paths[at]))
    if options.html is not None:
        from memcom_tf.converters.inspection.html_report import write_html

        write_html(comparison, options.html)
    if options.json:
        import json

        print(json.dumps(dataclasses.asdict(comparison), indent=1))
    else:
        from memcom_tf.converters.inspection.comparison_display import show_comparison

        show_comparison(comparison)
    return DONE


def _examples(options: argparse.Namespace, reference: Path) -> Any:
    """The examples under the ids of the reference; None where none are asked for."""
    if options.examples is None:
        return None
    from memcom_tf.converters.runtime import CompressedModelFile

    file = CompressedModelFile(reference)
    ranker = file.description.ranker
    known = SimpleNamespace(
        vocabulary=file.archive.vocabulary,
        history_length=None if ranker is None else ranker.history_length,
    )
    return load_examples(options.examples, known)
