"""`memcom try`: a small file to rank with and look into, made in seconds, before any training."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from memcom_tf.cli import rank_command
from memcom_tf.cli.commands import DONE, check_output, say

_WIDTH = 32
_HISTORY = ("Tomato soup", "Lentil soup")
_SHOWN = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("memcom-try.tflite"),
        metavar="MODEL.tflite",
        help="the file to write (memcom-try.tflite)",
    )
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def try_out(options: argparse.Namespace) -> int:
    """Writes a file that ranks dishes that we made up, and ranks with it."""
    check_output(options.output, options.force, ".tflite")
    from memcom_tf.converters.conversion import convert
    from memcom_tf.datasets.made_up import KINDS, MAIN

    say(f"making a ranker of {len(MAIN) * len(KINDS)} dishes, without training")
    conversion = convert(_ranker(), k=10)
    conversion.save(options.output, overwrite=options.force)
    ranked = argparse.Namespace(
        file=options.output,
        history=list(_HISTORY),
        fields=[],
        k=_SHOWN,
        exclude=[],
        exclude_file=None,
        candidates=[],
        candidates_file=None,
        json=options.json,
    )
    rank_command.rank(ranked)
    file = shlex.quote(str(options.output))
    say(
        f"wrote {options.output}; next: memcom inspect {file}, or memcom rank {file} "
        "--history 'Apple pie'"
    )
    return DONE


def _ranker() -> Any:
    """A ranker whose vectors are what a dish is made of and what kind of dish it is."""
    import numpy as np

    from memcom_tf.datasets.made_up import KINDS, MAIN
    from memcom_tf.layers import FullEmbedding
    from memcom_tf.models import NextItemRanker
    from memcom_tf.vocabulary import Vocabulary

    dishes = [(main, kind) for main in range(len(MAIN)) for kind in range(len(KINDS))]
    titles = [f"{MAIN[main]} {KINDS[kind]}" for main, kind in dishes]
    vocabulary = Vocabulary(titles, details={"title": dict(zip(titles, titles, strict=True))})
    rng = np.random.default_rng(0)
    # Directions at right angles: dishes are alike in so far as they share one.
    directions, _ = np.linalg.qr(rng.normal(size=(_WIDTH, _WIDTH)))
    table = np.zeros((vocabulary.input_dim, _WIDTH), np.float32)
    for title, (main, kind) in zip(titles, dishes, strict=True):
        vector = 2.0 * directions[len(MAIN) + kind] + directions[main]
        table[int(vocabulary.ids(title))] = vector + 0.05 * rng.normal(size=_WIDTH)
    embedding = FullEmbedding(vocabulary.input_dim, _WIDTH, weights=table, name="dishes")
    model = NextItemRanker(
        embedding, history_length=10, vocabulary=vocabulary, name="dishes_ranker"
    )
    model.build((None, 10))
    return model
