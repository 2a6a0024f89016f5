"""The tables of quality in the manual, from benchmarks/results.

python -m benchmarks.quality.tables            prints them
python -m benchmarks.quality.tables --write    puts them into PAGE.md
"""

from __future__ import annotations

import argparse
import json

from benchmarks.common.measure import RESULTS, ROOT, table
from benchmarks.quality.report import Group, grouped, spread

PAGE = ROOT / "docs" / "results.md"
TITLES = {
    "gowalla": "gowalla, nDCG@20",
    "amazon_games": "amazon_games, nDCG@10",
    "movielens": "MovieLens 100K, nDCG@10",
}
FILES = {
    "untied": "float32, a table for each side",
    "tied": "float32, one table for both",
    "tied-int8": "the same in int8",
    "compress": "`compress`",
}
INPUTS = {
    "MEmComEmbedding+input": "frequency order",
    "MEmComEmbedding+order+input": "similarity order, from scratch",
    "MEmComEmbedding+order+unshared+input": "the same, half of the rows of single items",
    "MEmComEmbedding+trained+input": "similarity order, from a trained table",
}
ALONE = {
    "compress": "`compress`",
    "ResidualQuantizedEmbedding+posthoc": "residual codes",
    "ProductQuantizedEmbedding+posthoc": "product codes",
    "MEmComEmbedding+posthoc": "MEmCom, similar items in a bucket",
    "QuotientRemainderEmbedding+posthoc": "quotient-remainder, the same order",
    "HashedEmbedding+posthoc": "one row for a bucket, the same order",
    "TruncatedEmbedding+posthoc": "rows of the most frequent alone",
    "LowRankEmbedding+posthoc": "low rank",
}
RATIOS_ALONE = {"gowalla": (16, 40, 80), "amazon_games": (16, 40, 100)}


class DataSet:
    """The runs on one data set."""

    def __init__(self, name: str) -> None:
        lines = (RESULTS / f"quality_{name}.jsonl").read_text().splitlines()
        self.title = TITLES[name]
        self.groups = [group for group in grouped(map(json.loads, lines)) if group.reachable]
        (self._ndcg,) = (key for key in self.groups[0].rows[0]["test"] if key.startswith("ndcg"))

    def of(self, method: str) -> list[Group]:
        """The runs of a method, by ratio."""
        return [group for group in self.groups if group.method == method]

    def ndcg(self, group: Group) -> str:
        """On test."""
        return spread(group.values("test", self._ndcg))

    def loss(self, group: Group, baseline: str) -> str:
        """On test, in percent of a baseline; a dash of itself."""
        if group.method == baseline:
            return "-"
        return spread(group.losses(self.of(baseline)[0], self._ndcg), 1, "+")


def files() -> str:
    """Whole files, baselines first."""
    rows = []
    for name in TITLES:
        data = DataSet(name)
        title = data.title
        for method, label in FILES.items():
            for group in data.of(method):
                losses = (data.loss(group, baseline) for baseline in ("untied", "tied"))
                rows.append(
                    (
                        title,
                        label if group.ratio is None else f"{label}, {group.ratio:g}x below untied",
                        f"{group.bytes:,.0f}",
                        data.ndcg(group),
                        *(loss if loss == "-" else f"{loss} %" for loss in losses),
                        str(len(group.rows)),
                    )
                )
                title = ""
    head = "data, test metric", "file", "bytes", "metric", "loss against untied", "against tied"
    return table((*head, "seeds"), rows, texts=2)


def inputs() -> str:
    """MEmCom as the table of the histories alone."""
    rows = []
    for name in TITLES:
        data = DataSet(name)
        for method, label in INPUTS.items():
            for group in data.of(method):
                loss = f"{data.loss(group, 'untied')} %"
                cells = f"{group.bytes:,.0f}", data.ndcg(group), loss, str(len(group.rows))
                rows.append((f"{data.title}: {label}", *cells))
    head = "the input table alone 16x smaller: MEmCom", "bytes", "metric", "loss against untied"
    return table((*head, "seeds"), rows)


def alone() -> str:
    """One method in closed form, not trained, and what `compress` makes of all."""
    head = ["loss against one table for both, %; times smaller than untied"]
    columns = []
    for name, ratios in RATIOS_ALONE.items():
        data = DataSet(name)
        for ratio in ratios:
            head.append(f"{ratio}x" if ratio != ratios[0] else f"{name} {ratio}x")
            columns.append((data, ratio))
    rows = []
    for method, label in ALONE.items():
        cells = []
        for data, ratio in columns:
            found = [group for group in data.of(method) if group.ratio == ratio]
            cells.append(data.loss(found[0], "tied") if found else "-")
        rows.append((label, *cells))
    return table(head, rows)


TABLES = {
    "whole files": files,
    "one method alone": alone,
    "the input table alone": inputs,
}


def placed(name: str) -> str:
    """A table between the comments that tell its place in the PAGE."""
    return f"<!-- {name} -->\n{TABLES[name]()}<!-- end of {name} -->\n"


def main() -> None:
    """Prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        print("\n".join(make() for make in TABLES.values()))
        return
    text = PAGE.read_text()
    for name in TABLES:
        before, rest = text.split(f"<!-- {name} -->\n")
        text = before + placed(name) + rest.split(f"<!-- end of {name} -->\n")[1]
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
