"""What the benchmarks of speed train on: batches of histories, of ids that are drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BATCH_SIZE = 1024
HISTORY_LENGTH = 50
OUTPUT_DIM = 64
IDS_PER_BUCKET = 16
NUM_BATCHES = 40
"""Different batches, cycled: enough that the rows of one are gone from the caches by the next."""
DISTRIBUTIONS = ("zipf", "uniform")
ZIPF_EXPONENT = 1.05


def num_buckets(input_dim: int) -> int:
    """The shared rows of the MEmCom layers that are measured."""
    return max(1, input_dim // IDS_PER_BUCKET)


def draw_ids(
    distribution: str, input_dim: int, num_batches: int = NUM_BATCHES, seed: int = 0
) -> npt.NDArray[np.int32]:
    """Histories, the same for the same arguments.

    Args:
        distribution: "uniform", or "zipf": id `i` is drawn with a probability that falls as
            `(i + 1) ** -1.05`, by the inverse of the continuous power law on `[1, input_dim + 1)`.
        input_dim: Ids are in `[0, input_dim)`.
        num_batches: Batches to draw.
        seed: Seed.

    Returns:
        `[num_batches, BATCH_SIZE, HISTORY_LENGTH]`.
    """
    return draw((num_batches, BATCH_SIZE, HISTORY_LENGTH), distribution, input_dim, seed)


def draw(
    shape: tuple[int, ...], distribution: str, input_dim: int, seed: int = 0
) -> npt.NDArray[np.int32]:
    """Ids of any shape, distributed as `draw_ids` says."""
    drawn = np.random.default_rng(seed).random(shape)
    if distribution == "zipf":
        power = 1.0 - ZIPF_EXPONENT
        largest = (input_dim + 1.0) ** power
        drawn = (1.0 + drawn * (largest - 1.0)) ** (1.0 / power) - 1.0
    else:
        drawn *= input_dim
    return np.minimum(drawn.astype(np.int32), input_dim - 1)


def distinct_ids(distribution: str, input_dim: int) -> int:
    """The median number of different ids in a batch: the rows that a step reads and writes."""
    batches = draw_ids(distribution, input_dim)
    return int(np.median([len(np.unique(batch)) for batch in batches]))


def draw_targets(num_batches: int = NUM_BATCHES, seed: int = 1) -> npt.NDArray[np.float32]:
    """What the model is to predict: noise, `[num_batches, BATCH_SIZE, OUTPUT_DIM]`."""
    shape = (num_batches, BATCH_SIZE, OUTPUT_DIM)
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
