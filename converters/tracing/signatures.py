"""The functions of a file: what is traced over quantized tables and becomes a signature."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import tensorflow as tf

from memcom_tf.errors import invalid
from memcom_tf.ops.interface import LOWEST, Array, Ops
from memcom_tf.ops.reference import ReferenceOps

from ..quantization.fold import ShippedEmbedding
from .file_ids import ids_of_file
from .graph_ops import QuantizedOps, unknown_zero
from .large import in_graph
from .top_k import top_k_of_groups

Signatures = dict[str, Callable[..., Any]]


@contextmanager
def shipped_tables(shipped: Sequence[ShippedEmbedding], ops: Ops) -> Iterator[None]:
    """Lets a model compute with what ships: quantized tables, in a graph of portable operators."""
    with ExitStack() as stack:
        for embedding in shipped:
            layer = embedding.layer
            ids = partial(
                ids_of_file,
                input_dim=layer.input_dim,
                are_checked=layer.reads_rows_of_ids,
            )
            stack.enter_context(
                embedding.trained.substituted(layer, ops, embedding.tables, prepare_ids=ids)
            )
        yield


class MarkingOps(ReferenceOps):
    """The maths over float tables; queries that are multiplied with these get names."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[str, Array]] = {}

    def know(self, place: int, tables: dict[str, Array]) -> None:
        """Tells the tables of an embedding, and its place among all."""
        for number, table in enumerate(tables.values()):
            self._names[id(table)] = f"{_QUERY}{place}_{number}", table

    def scores(self, query: Array, table: Array) -> Array:
        """As `ReferenceOps`."""
        if id(table) in self._names:
            query = tf.identity(query, name=self._names[id(table)][0])
        return super().scores(query, table)


_QUERY = "memcom_query_"
_MARKED = re.compile(rf"{_QUERY}(\d+)_(\d+)(?:_\d+)?$")


def marked_queries(names: Iterable[str]) -> list[tuple[int, int, str]]:
    """Of the names of nodes those that `MarkingOps` gave: embedding, table, and the tensor."""
    found = [(match, name) for name in names if (match := _MARKED.search(name))]
    return [(int(match[1]), int(match[2]), f"{name}:0") for match, name in found]


@contextmanager
def dequantized_tables(shipped: Sequence[ShippedEmbedding], ops: Ops) -> Iterator[None]:
    """Lets a model compute with the float values of what ships: the reference of a file."""
    with ExitStack() as stack:
        for place, embedding in enumerate(shipped):
            floats = {name: in_graph(values) for name, values in embedding.dequantized().items()}
            if isinstance(ops, MarkingOps):
                ops.know(place, floats)
            stack.enter_context(embedding.trained.substituted(embedding.layer, ops, floats))
        yield


def _embed(trained: Any, shipped: Sequence[ShippedEmbedding]) -> Callable[..., dict[str, Array]]:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="ids")], autograph=False)
    def embed(ids: Array) -> dict[str, Array]:
        with shipped_tables(shipped, QuantizedOps(unknown_zero(ids))):
            return {"vectors": tf.cast(trained(ids), tf.float32)}

    return embed


def embed_signatures(
    names: Sequence[str | None], shipped: Sequence[ShippedEmbedding]
) -> Signatures:
    """The vectors `embed(ids [n]) -> vectors [n, d]` of each embedding that has a name."""
    return {
        name: _embed(embedding.trained, shipped)
        for name, embedding in zip(names, shipped, strict=True)
        if name is not None
    }


Query = Callable[[dict[str, Array]], Array]
"""Makes the query `[1, d]` of a function, of its inputs by name, within `shipped_tables`."""


def query_of_history(model: Any) -> Query:
    """The query of a ranker's history."""
    return lambda inputs: model.query(inputs["history"])


def query_of_graph(function: Any) -> Query:
    """The query that a function over a graph returns."""
    names = [spec.name for spec in function.input_signature]

    def query(inputs: dict[str, Array]) -> Array:
        return function.python_function(*[inputs[name] for name in names])["query"]

    return query


def ranker_signatures(
    model: Any, query_of: Query, shipped: Sequence[ShippedEmbedding], k: int
) -> Signatures:
    """`rank` and `score` of a ranker.

    - `rank(inputs) -> ids [k], scores [k]`: the best items, those of the history left out, where
      there is one. Candidates are found by 8-bit scores of the whole catalogue, with room for
      those that fall out, and are then scored as `score` does.
    - `score(inputs, candidates [n]) -> scores [n]`.

    Inputs are those of one query: of a `memcom_tf.models.NextItemRanker` `history [1, L]`.

    Args:
        model: The trained model of the task `memcom_tf.tasks.NextItem`.
        query_of: Makes its query.
        shipped: Its embeddings, folded and quantized.
        k: Length of the ranked list.

    Returns:
        Functions by name.

    Raises:
        ValueError: If the catalogue holds fewer than `k` items beside a full history.
    """
    length = model.history_length
    reserved = 1 if model.vocabulary is None else model.vocabulary.first_id
    items = model.item_embedding.input_dim - reserved - len(model.free_ids)
    if k < 1 or k + length > items:
        raise invalid(
            f"`k` must be in [1, {items - length}]: {items} items less a history of {length}.",
            k=k,
        )
    # Room for the history and for neighbours that 8 bits of the query put in the wrong order.
    num_candidates = min(items, k + length + max(16, k)) + reserved
    specs = [
        tf.TensorSpec([1, *spec.shape[1:]], spec.dtype, name=name)
        for name, spec in model.query_specs.items()
    ]
    has_shortcut = model.item_bias_embedding is None and not len(model.free_ids)

    def named(inputs: Sequence[Array]) -> dict[str, Array]:
        return dict(zip(model.query_specs, inputs, strict=True))

    @tf.function(input_signature=specs, autograph=False)
    def rank(*inputs: Array) -> dict[str, Array]:
        with shipped_tables(shipped, QuantizedOps(unknown_zero(_an_input(inputs)))):
            query = query_of(named(inputs))
            candidates = None
            # The shortcut of a method knows no free ids: it might return them.
            if has_shortcut:
                candidates = model.scored_embedding.find_top_k(query, num_candidates)
            if candidates is None:
                everything = tf.reshape(model.score_all(query), [-1])
                candidates = top_k_of_groups(everything, num_candidates)
            scores = tf.reshape(model.score(query, candidates), [-1])
        chosen = candidates < reserved
        if length:
            history = named(inputs)["history"]
            chosen |= tf.reduce_any(tf.expand_dims(candidates, 1) == history, axis=1)
        best = tf.math.top_k(tf.where(chosen, LOWEST, scores), k)
        return {"ids": tf.gather(candidates, best.indices), "scores": best.values}

    @tf.function(
        input_signature=[*specs, tf.TensorSpec([None], tf.int32, name="candidates")],
        autograph=False,
    )
    def score(*inputs_and_candidates: Array) -> dict[str, Array]:
        *inputs, candidates = inputs_and_candidates
        with shipped_tables(shipped, QuantizedOps(unknown_zero(_an_input(inputs)))):
            scores = model.score(query_of(named(inputs)), candidates)
            return {"scores": tf.reshape(scores, [-1])}

    return {"rank": rank, "score": score}


def _an_input(inputs: Sequence[Array]) -> Array:
    """One of integers where there is one."""
    return [*(x for x in inputs if x.dtype.is_integer), *inputs][0]
