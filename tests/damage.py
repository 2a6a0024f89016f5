"""Damage to a file of `memcom convert`, by number: the same number, the same damage."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from random import Random
from unittest import mock

from memcom_tf.converters.graph_check import flatbuffer
from memcom_tf.converters.graph_check.graph import read_graph
from memcom_tf.converters.model_file.archive import DESCRIPTION

NUMBERS = [0, 1, 2, 3, 7, 64, 127, 128, 255, 256, 65535, 10**6, 2**31 - 1, 2**31, 2**32 - 1]
NAMES = ["../../evil", "/etc/passwd", "C:\\evil", "..", "", "a/b", "memcom.json", "\0", "x" * 300]
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**30,
    1e300,
    "",
    "x",
    "[/bold]",
    "\x1b[2J",
    "\ud800",
]
VALUES += [[], {}, [[]], [{}], ["rank"], "ranker", "model", "float32", 0.5, "a" * 5000]


class Sample:
    """A good file, taken apart."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.members = {info.filename: archive.read(info) for info in archive.infolist()}
            self.graph = content[: min(info.header_offset for info in archive.infolist())]
        self.places = places(self.graph)


def places(graph: bytes) -> list[tuple[int, int]]:
    """Where the numbers of a flatbuffer are that its reader reads: start and size."""
    found = set()
    read, vector = flatbuffer.FlatBuffer.read, flatbuffer.Table.vector

    def reading(self, number, start):
        found.add((start, number.size))
        return read(self, number, start)

    def reading_vector(self, index, item_size):
        start, count = vector(self, index, item_size)
        found.update((start + item_size * place, item_size) for place in range(min(count, 8)))
        return start, count

    with (
        mock.patch.object(flatbuffer.FlatBuffer, "read", reading),
        mock.patch.object(flatbuffer.Table, "vector", reading_vector),
    ):
        read_graph(memoryview(graph))
    return sorted(found)


def sealed(graph: bytes, members: dict[str, bytes]) -> bytes:
    """A file with the checksums that it should have."""
    description = json.loads(members[DESCRIPTION])
    if isinstance(description, dict):
        description["graph_crc32"] = zlib.crc32(graph)
    return appended(graph, {**members, DESCRIPTION: json.dumps(description).encode()})


def appended(graph: bytes, members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO(graph)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def of_bytes(content: bytes, rng: Random, other: bytes = b"") -> bytes:
    """Bits flipped, cut, spliced, moved, overwritten."""
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        place, size = rng.randrange(len(damaged) + 1), rng.choice([1, 4, 64, 4000])
        kind = rng.randrange(7)
        if kind <= 1 and damaged:
            damaged[place % len(damaged)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del damaged[place:]
        elif kind == 3:
            del damaged[place : place + size]
        elif kind == 4:
            damaged[place : place + size] = rng.randbytes(size)
        elif kind == 5:
            damaged[place:place] = damaged[: rng.randrange(len(damaged) + 1)][-size:]
        else:
            damaged[place:] = other[rng.randrange(len(other) + 1) :]
    return bytes(damaged)


def of_numbers(content: bytes, places: list[tuple[int, int]], rng: Random) -> bytes:
    """Numbers that matter replaced by those that hurt."""
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        start, size = rng.choice(places)
        limit = 1 << (8 * size)
        number = int.from_bytes(damaged[start : start + size], "little")
        changed = rng.choice([number ^ 1 << rng.randrange(8 * size), number + 1, number - 1])
        chosen = rng.choice([*NUMBERS, rng.randrange(64), -1, -2, len(content), changed, changed])
        damaged[start : start + size] = (chosen % limit).to_bytes(size, "little")
    return bytes(damaged)


def of_graph(sample: Sample, rng: Random) -> bytes:
    """A hostile graph with the checksum that it should have."""
    if rng.random() < 0.25:
        graph = of_bytes(sample.graph, rng, sample.graph)
    else:
        graph = of_numbers(sample.graph, sample.places, rng)
    return sealed(graph or b"\0", sample.members)


def of_zip(sample: Sample, rng: Random) -> bytes:
    """An archive with hostile members, or fields that lie."""
    kind = rng.randrange(6)
    graph, members = sample.graph, dict(sample.members)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        if kind == 0:
            members[rng.choice(NAMES) or "empty"] = rng.randbytes(rng.randrange(99))
            return appended(graph, members)
        if kind == 1:  # the same name twice
            again = {name: of_bytes(content, rng) for name, content in members.items()}
            return appended(appended(graph, members), again)
        if kind == 2:  # a bomb
            buffer = io.BytesIO(graph)
            with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
                name = rng.choice([*members, "other"])
                for member in {*members, name}:
                    content = bytes(10**6) if member == name else members[member]
                    archive.writestr(member, content)
            return buffer.getvalue()
        if kind == 3:  # very many members
            more = {f"{place}": b"" for place in range(rng.choice([20, 2000]))}
            return appended(graph, {**members, **more})
    content = sample.content
    directory = content.index(b"PK\x01\x02")
    heads = [len(graph), directory, content.rindex(b"PK\x05\x06")]
    if kind == 4:
        places = [(head + rng.randrange(0, 44, 2), 2 + 2 * rng.randrange(2)) for head in heads]
        places = [(start, size) for start, size in places if start + size <= len(content)]
        return of_numbers(content, places, rng)
    # A second end record, in a comment, that points anywhere.
    numbers = [rng.choice([*NUMBERS, directory, len(graph)]) % 2**32 for _ in range(2)]
    return content + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, *numbers, 0)


def of_description(sample: Sample, rng: Random) -> bytes:
    """A description that says something else, or is no JSON that one would expect."""
    if rng.random() < 0.05:
        strange = [b"[" * 100000, b"9" * 9999, b'{"a":' * 9999, b"NaN", b"", b"\xff\xfe", b"[]"]
        return appended(sample.graph, {**sample.members, DESCRIPTION: rng.choice(strange)})
    description = json.loads(sample.members[DESCRIPTION])
    for _ in range(rng.choice([1, 1, 2])):
        branch = description
        while True:
            keys = list(branch) if isinstance(branch, dict) else range(len(branch))
            if not keys:
                break
            key = rng.choice(list(keys))
            if isinstance(branch[key], (dict, list)) and rng.random() < 0.7:
                branch = branch[key]
                continue
            if rng.random() < 0.1:
                del branch[key]
            else:
                branch[key] = rng.choice(VALUES)
            break
    members = {**sample.members, DESCRIPTION: json.dumps(description).encode()}
    return appended(sample.graph, members)


def of_vocabulary(sample: Sample, rng: Random) -> bytes:
    """Other members damaged, the checksums of the archive those of the damage."""
    members = {
        name: content if name == DESCRIPTION else of_bytes(content, rng, sample.graph)
        for name, content in sample.members.items()
    }
    return appended(sample.graph, members)


KINDS = {
    "bytes": lambda sample, rng: of_bytes(sample.content, rng, sample.content[::-1]),
    "zip": of_zip,
    "description": of_description,
    "vocabulary": of_vocabulary,
    "graph": of_graph,
}


def damaged(sample: Sample, kind: str, number: int) -> bytes:
    """The file, damaged in one of `KINDS`."""
    return KINDS[kind](sample, Random(f"{kind} {number}"))
