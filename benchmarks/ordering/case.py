"""One order by similarity, timed; a worker process, so that its peak memory is its own."""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import numpy.typing as npt

from memcom_tf.ordering import similarity_order

_ITEMS_PER_TOPIC = 100
_NOISE = 0.6
"""Of an item around its topic, relative to the topics' own spread."""


def draw_vectors(num_items: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Vectors of items around topics, whose sizes and whose spectrum fall by power laws.

    Topics are drawn from a normal distribution whose standard deviation in dimension `i` is
    `i ** -0.5`, items around them from one that is 0.6 times as wide.
    """
    rng = np.random.default_rng(seed)
    num_topics = max(1, num_items // _ITEMS_PER_TOPIC)
    spectrum = (np.arange(1, width + 1) ** -0.5).astype(np.float32)
    topics = rng.normal(size=(num_topics, width)).astype(np.float32) * spectrum
    sizes = np.minimum(rng.zipf(1.5, num_topics), 1000).astype(np.float64)
    topic_of = rng.choice(num_topics, num_items, p=sizes / sizes.sum())
    vectors = rng.normal(size=(num_items, width)).astype(np.float32)
    vectors *= _NOISE * spectrum
    vectors += topics[topic_of]
    return vectors


def main() -> None:
    """Prints seconds, peak memory and quality."""
    arguments = json.loads(sys.argv[1])
    num_items = arguments["num_items"]
    vectors = draw_vectors(num_items, arguments["width"])
    counts = 1e6 / np.arange(1, num_items + 1)
    start = time.perf_counter()
    order = similarity_order(vectors, arguments["num_buckets"], counts=counts)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "seconds": seconds,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "share_in_nearest": order.share_in_nearest,
                "mean_similarity": order.mean_similarity,
                "mean_similarity_by_chance": order.mean_similarity_by_chance,
            }
        )
    )


if __name__ == "__main__":
    main()
