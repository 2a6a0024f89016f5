"""The table of methods in the README, from the registry.

python -m benchmarks.quality.method_table            prints it
python -m benchmarks.quality.method_table --write    puts it into README.md
"""

from __future__ import annotations

import argparse

from benchmarks.common.measure import ROOT
from memcom_tf.layers import METHODS, CompressedEmbedding

README = ROOT / "README.md"
START, END = "<!-- methods -->\n", "<!-- end of methods -->\n"
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


def main() -> None:
    """Prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        print(method_table())
        return
    text = README.read_text()
    before, rest = text.split(START)
    README.write_text(before + START + method_table() + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
