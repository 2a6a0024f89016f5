"""What `Vocabulary` is made of: checks, the choice of items, search, reading JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from memcom_tf.errors import in_python, invalid
from memcom_tf.vocabulary.items import Item, as_column, kind_of, nearest

OutOfVocabulary: TypeAlias = Literal["error", "drop", "share"]
CountedOrder: TypeAlias = Literal["given", "frequency"]
Order: TypeAlias = Literal["given", "frequency", "similarity"]
Details: TypeAlias = Mapping[str, Mapping[Any, str]]
"""Detail name -> item -> text, e.g. `{"title": {50: "Star Wars (1977)"}}`."""

FORMAT = "memcom_tf.vocabulary"
FORMAT_VERSION = 1
_FIELDS = ("items", "counts", "order", "num_buckets", "out_of_vocabulary", "details", "fingerprint")
NUM_DEDICATED = "num_unshared"
"""An optional field, by the name that it has had in files."""
_SHOWN = 3


def one_of(name: str, value: object, literal: Any) -> None:
    """Checks that an argument has one of the values of a `Literal`."""
    allowed = get_args(literal)
    if value not in allowed:
        raise invalid(f"`{name}` must be known.", f"Pass one of {allowed}.", **{name: value})


def checked_counts(counts: Iterable[int], size: int, order: Order) -> tuple[int, ...]:
    """Returns counts as Python integers, checked against the number of items and the order."""
    values = list(counts)
    if len(values) != size:
        raise invalid(
            "`counts` must be aligned with `items`.",
            "Pass one count for each item.",
            counts=len(values),
            items=size,
        )
    limit = np.iinfo(np.int64).max
    for place, count in enumerate(values):
        if kind_of(type(count)) is not int or not 0 <= count <= limit:
            raise invalid(
                "`counts` must be non-negative integers.",
                "Count the interactions of each item.",
                position=place,
                count=count,
            )
        if order == "frequency" and place and count > values[place - 1]:
            raise invalid(
                '`counts` must not rise where `order` is "frequency".',
                "Use `Vocabulary.from_counts`, which sorts, or order='given'.",
                position=place,
                count=count,
                before=values[place - 1],
            )
    return tuple(int(count) for count in values)


def choose(
    counts: Mapping[Any, int], order: CountedOrder, min_count: int, max_size: int | None
) -> dict[Item, int]:
    """Returns the items to keep with their counts, in the order of their ids."""
    one_of("order", order, CountedOrder)
    if max_size is not None and max_size < 1:
        raise invalid("`max_size` must be positive.", "Pass None for all.", max_size=max_size)
    items = as_column(counts.keys(), "counts").values
    numbers = checked_counts(counts.values(), len(items), "given")
    kept = {i: n for i, n in zip(items, numbers, strict=True) if n >= min_count}
    if items and not kept:
        raise invalid(
            "`min_count` must leave at least one item.",
            f"The most frequent item occurred {max(numbers)} times: pass at most that.",
            min_count=min_count,
        )
    # Ties by value: the same data give the same ids, whatever order they come in.
    ranked = sorted(kept, key=lambda item: (-kept[item], item))[:max_size]
    if order == "frequency":
        return {item: kept[item] for item in ranked}
    chosen = set(ranked)
    return {item: count for item, count in kept.items() if item in chosen}


def detail_column(
    name: str, texts: Mapping[Any, str], items: Sequence[Item | None]
) -> tuple[str, ...]:
    """Returns one detail's texts aligned with the items."""
    column = tuple("" if item is None else texts.get(item, "") for item in items)
    for item, text in zip(items, column, strict=True):
        if not isinstance(text, str):
            raise invalid(
                "A detail's texts must be strings.",
                "Convert them with str(), and leave out those that are missing.",
                detail=name,
                item=item,
                text=text,
            )
    return tuple(map(str, column))


def objects(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Returns a 1-D array of Python objects."""
    array: npt.NDArray[np.object_] = np.empty(len(values), object)
    array[:] = values
    return array


def take(column: npt.NDArray[np.object_], ids: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """Returns the entries of a column at ids, of their shape."""
    places = np.asarray(ids)
    if places.size == 0:
        places = places.astype(np.int64)
    if places.dtype.kind not in "iu":
        raise invalid("`ids` must be integers.", "Convert them.", dtype=str(places.dtype))
    wrong = (places < 0) | (places >= len(column))
    if wrong.any():
        raise invalid(
            f"`ids` must be in [0, input_dim) = [0, {len(column)}).",
            "Pass ids that this vocabulary gave.",
            id=int(places[wrong][0]),
        )
    found: npt.NDArray[np.object_] = np.empty(places.shape, object)
    found[...] = column[places]
    return found


def unknown_items(unknown: Sequence[Item], known: Sequence[Item]) -> ValueError:
    """Returns the error for items that the vocabulary does not have."""
    distinct = list(dict.fromkeys(unknown))
    hints = []
    for item in distinct[:_SHOWN]:
        if isinstance(item, str) and (close := nearest(item, map(str, known), _SHOWN)):
            hints.append(f"nearest to {item!r}: {', '.join(map(repr, close))}")
    hint = f" ({'; '.join(hints)})" if hints else ""
    return invalid(
        "Every item must be in the vocabulary.",
        f"Correct them{hint}"
        + in_python(', or build the vocabulary with out_of_vocabulary="drop" or "share"')
        + ".",
        unknown=distinct[:_SHOWN],
        how_many=len(distinct),
    )


def find(text: str, detail: str, texts: Sequence[str], items: Sequence[Item], limit: int) -> int:
    """Returns the place of the one text that is `text` or, failing that, contains it."""
    wanted = text.strip().casefold()
    if not wanted:
        raise invalid("`text` must not be empty.", f"Pass a part of the {detail}.", text=text)
    folded = [candidate.casefold() for candidate in texts]
    places = [place for place, candidate in enumerate(folded) if candidate == wanted]
    if not places:
        places = [place for place, candidate in enumerate(folded) if wanted in candidate]
    if len(places) == 1:
        return places[0]
    if places:
        names = "; ".join(f"{texts[place]!r} (item {items[place]!r})" for place in places[:limit])
        must = f"The {detail} must name one item."
        action = f"It fits {len(places)} items: {names}. Pass more of it, or the item itself."
    else:
        close = nearest(text, filter(None, texts), limit)
        must = f"The {detail} must be that of an item in the vocabulary."
        action = f"Nearest: {'; '.join(map(repr, close))}." if close else "Nothing is near it."
    raise invalid(must, action, **{detail: text})


def damaged(reason: str) -> ValueError:
    """Returns the error for a vocabulary that cannot be read back."""
    return invalid("The vocabulary must be intact.", "Save it anew.", damage=reason)


def parse(text: str) -> dict[str, Any]:
    """Returns the fields of a vocabulary's JSON, its format and version checked."""
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise damaged(f"no JSON: {error}") from error
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if not isinstance(content, dict) or found != FORMAT:
        raise invalid(
            "The data must be a vocabulary of memcom_tf.",
            "Pass what `Vocabulary.save` or `Vocabulary.to_json` wrote.",
            format=found,
        )
    version = content.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise damaged(f"format_version={version!r}")
    if version > FORMAT_VERSION:
        raise invalid(
            f"`format_version` must be at most {FORMAT_VERSION}.",
            "A later memcom_tf wrote it: update memcom_tf.",
            format_version=version,
        )
    missing = [name for name in _FIELDS if name not in content]
    if missing:
        raise damaged(f"fields missing: {', '.join(missing)}")
    found = {name: content[name] for name in _FIELDS}
    if NUM_DEDICATED in content:
        found["num_dedicated"] = content[NUM_DEDICATED]
    return found
