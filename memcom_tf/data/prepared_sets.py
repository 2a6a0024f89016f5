"""A prepared log that says what is held out, opened: its interactions are sets."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from memcom_tf.data.prepared_split import Part, PreparedSplit, users_at
from memcom_tf.data.sequences import Sequences
from memcom_tf.evaluation.examples import Examples
from memcom_tf.vocabulary import Vocabulary
from memcom_tf.vocabulary.items import IdArray, left_aligned

if TYPE_CHECKING:
    from typing_extensions import Self


class PreparedSets(PreparedSplit):
    """A `PreparedSplit` by the protocol of `memcom_tf.evaluation.hold_out`.

    A training example is a user, and an example of validation or test has all of the user's items
    of that part as targets.
    """

    _ordered = False
    _before: PreparedSets | None = None

    @cached_property
    def longest(self) -> int:
        """The most interactions for training that a user has."""
        if self._ids is None or not self._loses_items:
            return max(shard.longest for shard in self.manifest.shards)
        found = map(self.sequences, range(self.num_shards))
        return max(int(np.diff(sequences.offsets).max(initial=0)) for sequences in found)

    def cut(
        self, sequences: Sequences, places: npt.NDArray[np.int64]
    ) -> tuple[IdArray, IdArray, npt.NDArray[np.int64]]:
        """As `PreparedSplit.cut`: `places` are users, and the last fifth of a user is `[b, P]`."""
        start, stop = sequences.offsets[places], sequences.offsets[places + 1]
        middle = stop - np.maximum((stop - start) // 5, 1)
        history = left_aligned(sequences.ids, start, middle, self.history_length)
        return (
            history,
            left_aligned(sequences.ids, middle, stop, max(self.longest // 5, 1)),
            places,
        )

    @cached_property
    def dropped(self) -> dict[str, int]:
        """How many interactions for "validation" and "test" were left out."""
        kept = {"validation": self.validation, "test": self.test}
        return {
            name: self.manifest.statistics[name] - int((part.target != 0).sum())
            for name, part in kept.items()
        }

    def sample(self, part: Part, size: int) -> Examples:
        """As `PreparedSplit.sample`."""
        if self._before is None:
            return super().sample(part, size)
        return self._mapped(self._before.sample(part, size))

    def renumbered(self, vocabulary: Vocabulary) -> Self:
        """As `Split.renumbered`."""
        # The targets of a user stay in the order that they have under the ids so far.
        found = super().renumbered(vocabulary)
        found.__dict__["_before"] = self
        return found

    def _held_out(self, part: Part) -> Examples:
        if self._before is None:
            return super()._held_out(part)
        return self._mapped(getattr(self._before, part))

    def _mapped(self, examples: Examples) -> Examples:
        """Examples of the data set before it was renumbered, under these ids."""
        assert self._before is not None
        ids = self._before.vocabulary.ids_in(self.vocabulary)
        return replace(
            examples,
            history=ids[examples.history],
            target=ids[examples.target],
            seen=ids[examples.left_out],
            free_ids=self.vocabulary.free_ids,
        )

    def _examples(self, sequences: Sequences, part: Part) -> Examples:
        vocabulary, length = self.vocabulary, self.history_length
        held_out, offsets, size = getattr(sequences, part), sequences.offsets, vocabulary.input_dim
        trained = np.diff(offsets)
        known = np.repeat(np.arange(len(sequences)), trained) * size + sequences.ids
        pair = held_out.user * size + held_out.ids
        usable = (held_out.ids >= vocabulary.first_id) & (trained > 0)[held_out.user]
        pair = np.unique(pair[usable & ~np.isin(pair, known)])
        who, counts = np.unique(pair // size, return_counts=True)
        stop = np.cumsum(counts)
        target = (pair % size).astype(sequences.ids.dtype)
        return Examples(
            left_aligned(sequences.ids, offsets[who], offsets[who + 1], length),
            left_aligned(target, stop - counts, stop, int(counts.max(initial=1))),
            users_at(sequences, who),
            vocabulary.first_id,
            vocabulary.free_ids,
            left_aligned(
                sequences.ids, offsets[who], offsets[who + 1], int(trained[who].max(initial=1))
            ),
        )

    def _joined(self, parts: list[Examples]) -> Examples:
        seen, target = (
            _as_wide([getattr(part, name) for part in parts]) for name in ("left_out", "target")
        )
        narrow = [replace(part, target=part.target[:, 0], seen=None) for part in parts]
        return replace(super()._joined(narrow), target=target, seen=seen)


def _as_wide(parts: list[IdArray]) -> IdArray:
    """Rows of ids one below the other, padded with zeros to the widest."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])
