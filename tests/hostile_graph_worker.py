"""Runs hostile graphs in this process where they are known to be safe: a crash ends it.

Arguments: a folder of good `.tflite` graphs, the first case and the one behind the last. It prints
a line before each case and one after it.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from ai_edge_litert.interpreter import Interpreter

from memcom_tf.converters.graph_check.check import check
from memcom_tf.converters.graph_check.flatbuffer import DamagedError
from memcom_tf.converters.graph_check.graph import read_graph
from memcom_tf.converters.graph_check.known_graph import is_known_to_be_safe
from memcom_tf.converters.graph_check.known_operators import RULES
from tests.graph_building import packed
from tests.hostile_graphs import changed, inputs_of, single

_MEMORY = 12 * 2**30
_CALLS = 3


def outcome(content: bytes, rng: Random) -> str:
    """One word: refused, elsewhere (in a child), unreadable, or how many calls were answered."""
    try:
        graph = read_graph(memoryview(content))
        check(graph)
    except DamagedError:
        return "refused"
    if not is_known_to_be_safe(graph):
        return "elsewhere"
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
    except (RuntimeError, ValueError):
        return "unreadable"
    answered = 0
    for name, signature in graph.signatures.items():
        tensors = graph.subgraphs[signature.subgraph].tensors
        specs = {k: (tensors[at].dtype, tensors[at].shape) for k, at in signature.inputs.items()}
        for _ in range(_CALLS):
            try:
                interpreter.get_signature_runner(name)(**inputs_of(rng, specs))
                answered += 1
            except (RuntimeError, ValueError, MemoryError):
                pass
    return f"answered {answered > 0}"


def case(goods: list[bytes], number: int) -> tuple[bytes, Random]:
    """A hostile graph by its number."""
    rng = Random(f"graph {number}")
    kind = number % 3
    if kind == 0 and goods:
        return changed(goods[rng.randrange(len(goods))], rng), rng
    # What is checked to the last number most of all.
    return packed(single(rng, sorted(RULES)) if kind == 1 else single(rng)), rng


def main(folder: Path, first: int, last: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    say: Callable[[str], int] = os.fdopen(os.dup(1), "w", buffering=1).write
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    goods = [path.read_bytes() for path in sorted(folder.glob("*.graph"))]
    for number in range(first, last):
        say(f"case {number}\n")
        try:
            content, rng = case(goods, number)
        except Exception as error:  # a change that cannot be written is none
            say(f"unwritten {type(error).__name__}\n")
            continue
        say(f"{outcome(content, rng)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
