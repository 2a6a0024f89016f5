"""The options that say how large a ranker is, and how it is trained."""

from __future__ import annotations

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the width, the length of histories, the steps and the size of a batch."""
    parser.add_argument("--width", type=int, help="width of an embedding (64, of click models 16)")
    parser.add_argument("--history-length", type=int, default=50, help="items that it sees (50)")
    parser.add_argument(
        "--steps", type=int, help="steps of training, where --epochs does not say (10,000)"
    )
    parser.add_argument("--batch-size", type=int, default=256, help="examples in a step (256)")
