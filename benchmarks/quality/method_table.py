"""The tables of methods in the manual and on the pages of the families, from the registry.

python -m benchmarks.quality.method_table            prints that of the manual
python -m benchmarks.quality.method_table --write    puts them into their places
"""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from benchmarks.common.measure import ROOT
from memcom_tf.layers import METHODS, CompressedEmbedding

PAGE = ROOT / "docs" / "methods.md"
START, END = "<!-- methods -->\n", "<!-- end of methods -->\n"
LAYERS = ROOT / "memcom_tf" / "layers"
INPUT_DIM, OUTPUT_DIM, RATIO = 1_000_000, 64, 16


def largest_ratio(method: type[CompressedEmbedding], **variant: object) -> float:
    """The largest `compression_ratio` that a method reaches at the table's size."""
    if method.size_argument is None:
        return 1.0
    smallest = method.size_range(INPUT_DIM, OUTPUT_DIM, **variant)[0]
    layer = method(INPUT_DIM, OUTPUT_DIM, **{method.size_argument: smallest}, **variant)
    return layer.compression_ratio


def row(method: type[CompressedEmbedding]) -> str:
    """One method's line."""
    largest = max(largest_ratio(method, **variant) for variant in ({}, *method.variants))
    size = "-"
    if method.size_argument is not None:
        layer = method.for_ratio(INPUT_DIM, OUTPUT_DIM, RATIO)
        size = f"`{method.size_argument}={layer.get_config()[method.size_argument]:,}`"
        size = size.replace(",", "_")
    ships = method.for_ratio(INPUT_DIM, OUTPUT_DIM, 1).ships_as()
    shipped = "itself" if isinstance(ships, method) else f"`{type(ships).__name__}`"
    link = f"[{method.source}](https://arxiv.org/abs/{method.source.removeprefix('arXiv:')})"
    source = link if method.source.startswith("arXiv:") else method.source
    name = method.__name__
    return f"| `{name}` | `{method.formula}` | {largest:,.0f} | {size} | {shipped} | {source} |"


def method_table() -> str:
    """The Markdown table."""
    head = (
        "| layer | vector of id `i` | largest ratio | at ratio 16 | ships as | source |\n"
        "|---|---|---:|---|---|---|\n"
    )
    # The baseline first, then by name.
    methods = sorted(METHODS.values(), key=lambda m: (m.source != "baseline", m.__name__))
    return head + "".join(row(method) + "\n" for method in methods)


def pages() -> dict[Path, list[type[CompressedEmbedding]]]:
    """The page of each family, and its methods."""
    found: dict[Path, list[type[CompressedEmbedding]]] = {}
    for method in METHODS.values():
        page = Path(inspect.getfile(method)).parent / "README.md"
        if page.parent != LAYERS:
            found.setdefault(page, []).append(method)
    return found


def family_row(method: type[CompressedEmbedding]) -> str:
    """One method's line on the page of its family: where its bytes are in a file."""
    layer = method.for_ratio(INPUT_DIM, OUTPUT_DIM, RATIO if method.size_argument else 1)
    tables = layer.stored_tables()
    own = sum(table.stored_bytes for table in tables if table.rows >= INPUT_DIM)
    shared = sum(table.stored_bytes for table in tables) - own
    size = "-"
    if method.size_argument is not None:
        size = f"`{method.size_argument}={layer.get_config()[method.size_argument]:,}`"
        size = size.replace(",", "_")
    name, formula = method.__name__, method.formula
    return f"| `{name}` | `{formula}` | {size} | {own / INPUT_DIM:.1f} | {shared:,} |"


def family_table(methods: list[type[CompressedEmbedding]]) -> str:
    """The Markdown table of a family."""
    head = (
        f"At {INPUT_DIM:,} ids, {OUTPUT_DIM} wide and about {RATIO} times fewer numbers, as a file "
        "stores it:\n\n"
        "| layer | vector of id `i` | size | bytes of each id's own | bytes that ids share |\n"
        "|---|---|---|---:|---:|\n"
    )
    named = sorted(methods, key=lambda method: method.__name__)
    return head + "".join(family_row(method) + "\n" for method in named)


def placed(text: str, made: str) -> str:
    """A page with a table between its marks."""
    before, rest = text.split(START)
    return before + START + made + END + rest.split(END)[1]


def main() -> None:
    """Prints the table or writes all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        print(method_table())
        return
    PAGE.write_text(placed(PAGE.read_text(), method_table()))
    for page, methods in pages().items():
        page.write_text(placed(page.read_text(), family_table(methods)))


if __name__ == "__main__":
    main()
