"""A trained layer for another vocabulary: with later items, or under the ids of a new order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memcom_tf.approximation import closed_forms
from memcom_tf.errors import invalid
from memcom_tf.tables import RowSharing
from memcom_tf.vocabulary import Vocabulary

_IDS_AT_A_TIME = 1 << 18
_ALL = RowSharing(1)
"""All ids in one bucket: where none is known."""


def extended_layer(layer: Any, before: Vocabulary, after: Vocabulary) -> Any:
    """Carries a layer over to a vocabulary with later items; what it looks up for others stays.

    What the tables hold for a new id alone (MEmCom's multiplier, a full table's row) starts as
    the mean over the items of its bucket: its vector then is their mean vector. An item that takes
    an id with a row of its own starts as the mean over all items. Training, which needs the new
    items in the interactions, goes on from there.

    Args:
        layer: A `CompressedEmbedding`, trained.
        before: Its vocabulary.
        after: What `appended` or `with_reserve` made of it.

    Returns:
        A layer of its own for `after`, built.

    Raises:
        ValueError: If an item has another id in `after` than in `before`.

    Example:
        >>> from memcom_tf import MEmComEmbedding
        >>> before = Vocabulary(["tea", "nail"], order="similarity", num_buckets=2).with_reserve(1)
        >>> after = Vocabulary(["tea", "nail", "milk", None], order="similarity", num_buckets=2)
        >>> layer = MEmComEmbedding(before.input_dim, 4, num_buckets=2)
        >>> tea, milk = extended_layer(layer, before, after)(after.ids(["tea", "milk"]))
        >>> np.array_equal(tea, milk)
        True
    """
    _check_extends(before, after)
    grown = layer.grown(after.input_dim)
    new = np.setdiff1d(_item_ids(after), _item_ids(before))
    if len(new):
        tables, old = grown.table_values(), _item_ids(before)
        for name, values in tables.items():
            if len(values) == after.input_dim:
                tables[name] = _with_bucket_means(values, old, new, after.sharing or _ALL)
            elif layer.sharing is not None and len(values) == layer.sharing.num_rows:
                # What the row of an item that is gone was trained to, is not the new one's.
                own = new[new < layer.sharing.num_dedicated]
                values[own] = values[layer.sharing.rows_of(old)].mean(axis=0)
                tables[name] = values
        grown.assign_tables(tables)
    return grown


def refreshed_layer(layer: Any, before: Vocabulary, after: Vocabulary) -> Any:
    """Carries a layer over to another order of the ids, as nearly as its method can.

    The vectors of all ids are looked up, put where the new order wants them, and approximated
    (`from_table`) with the counts as weights. Vectors of items that share a row with others than
    before change, so that training should go on for a few epochs. Items that `before` does not
    know, and free ids, get the mean vector of their bucket.

    Args:
        layer: A `CompressedEmbedding`, trained.
        before: Its vocabulary.
        after: Another, of any order, with new items and without old ones; its `num_buckets`
            and `num_dedicated` become the layer's.

    Returns:
        A layer of its own for `after`, built.

    Raises:
        ValueError: If the vocabularies have no item in common.
        NotImplementedError: If the method can only be trained.

    Example:
        >>> from memcom_tf import MEmComEmbedding
        >>> before, after = Vocabulary(["tea", "nail"]), Vocabulary(["nail", "tea"])
        >>> layer = MEmComEmbedding(3, 4, num_buckets=3)
        >>> refreshed = refreshed_layer(layer, before, after)
        >>> np.allclose(refreshed(after.ids("tea")), layer(before.ids("tea")))
        True
    """
    known = [item for item in after if item in before]
    if not known:
        raise invalid("The vocabularies must have items in common.", before=before, after=after)
    old = _all_vectors(layer)
    table = np.zeros((after.input_dim, layer.output_dim), np.float32)
    reserved = min(before.first_id, after.first_id)
    table[:reserved] = old[:reserved]
    ids = after.ids(known)
    table[ids] = old[before.ids(known)]
    config = dict(layer.get_config())
    sharing = layer.sharing
    if sharing is not None and after.sharing is not None:
        sharing = after.sharing
        config |= {
            name: value for name, value in sharing.arguments().items() if value or name in config
        }
    rest = np.setdiff1d(np.arange(after.first_id, after.input_dim), ids)
    table = _with_bucket_means(table, ids.astype(np.int64), rest, after.sharing or sharing or _ALL)
    frequencies = np.zeros(after.input_dim)
    # Padding weighs nothing: it shares a row with items, and is masked where it matters.
    frequencies[1 : after.first_id] = 1.0
    frequencies[_item_ids(after)] = 1.0 if after.counts is None else after.counts + 1.0
    for name in ("input_dim", "output_dim"):
        del config[name]
    return type(layer).from_table(table, frequencies=frequencies, **config)


def _check_extends(before: Vocabulary, after: Vocabulary) -> None:
    ids = _item_ids(before)
    same = (
        before.first_id == after.first_id
        and before.sharing == after.sharing
        and before.input_dim <= after.input_dim
        and np.array_equal(before.items(ids), after.items(ids))
    )
    if not same:
        raise invalid(
            "The new vocabulary must keep the ids of all items.",
            "Use `appended` or `with_reserve`; for another order refresh.",
            before=before,
            after=after,
        )


def _item_ids(vocabulary: Vocabulary) -> npt.NDArray[np.int64]:
    return np.setdiff1d(np.arange(vocabulary.first_id, vocabulary.input_dim), vocabulary.free_ids)


def _all_vectors(layer: Any) -> npt.NDArray[np.float32]:
    parts = [
        np.asarray(layer(np.arange(begin, min(begin + _IDS_AT_A_TIME, layer.input_dim))))
        for begin in range(0, layer.input_dim, _IDS_AT_A_TIME)
    ]
    return np.concatenate(parts).astype(np.float32)


def _with_bucket_means(
    rows: npt.NDArray[np.float32],
    known: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
    sharing: RowSharing,
) -> npt.NDArray[np.float32]:
    """The rows, those at `wanted` the means of those at `known` in their bucket.

    Where a bucket has none the row is the mean over all buckets.
    """
    buckets = sharing.rows_of(known)
    weights = np.ones(len(known), np.float32)
    means = closed_forms.means(rows[known], weights, buckets, sharing.num_rows)
    means[np.bincount(buckets, minlength=sharing.num_rows) == 0] = rows[known].mean(axis=0)
    filled = rows.copy()
    filled[wanted] = means[sharing.rows_of(wanted)]
    return filled
