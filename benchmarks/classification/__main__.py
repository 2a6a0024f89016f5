"""Accuracy of text classifiers against the bytes of their files, method by method.

    python -m benchmarks.classification --data newsgroups.npz
    python -m benchmarks.classification --data mail.csv --text body --label group --ratios 32

FILE is a .csv and so on as `memcom train --task text` takes it, or an .npz file of tokens
(`benchmarks/classification/data.py`). Resumable: a finished run is a line of JSON, and is not
repeated; the full models lie in the folder --work. Every run ends by writing the table (.md) beside
the JSON. A method that cannot be as small as asked has no line.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.classification.data import load, name_of, split_of
from benchmarks.classification.methods import METHODS, Case, run
from benchmarks.classification.report import report
from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS
from benchmarks.common.runs import Runs

_QUICK_DOCUMENTS, _QUICK_EPOCHS = 1500, 2


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", type=Path, required=True, metavar="FILE")
    options.add_argument("--text", default="text", help="column of texts")
    options.add_argument("--label", default="label", help="column of labels")
    options.add_argument("--test", help="column of what is held out")
    options.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME"
    )
    options.add_argument("--ratios", type=float, nargs="+", default=[4, 16, 32, 40])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--json", type=Path, help="default: results/classification_DATA.jsonl")
    options.add_argument("--work", type=Path, help="default: the folder `work` beside the JSON")
    options.add_argument("--quick", action="store_true", help="few documents, two epochs, 32x")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the table."""
    options = parser().parse_args(arguments)
    columns = {"text": options.text, "label": options.label, "test": options.test}
    documents = load(options.data, **columns)
    split = split_of(documents, _QUICK_DOCUMENTS if options.quick else None)
    ratios, seeds, epochs = sorted(set(options.ratios)), options.seeds, None
    if options.quick:
        ratios, seeds, epochs = [32.0], seeds[:1], _QUICK_EPOCHS
    path = options.json or RESULTS / f"classification_{options.data.stem}.jsonl"
    kept = Runs(path, {"data": name_of(split), "width": options.width, "quick": options.quick})
    work = options.work or path.parent / "work"
    case = Case(split, options.width, epochs, work / kept.same["data"])
    machine = describe()
    for seed, ratio in itertools.product(seeds, [None, *ratios]):
        for name in options.methods:
            key = {"method": name, "ratio": ratio, "seed": seed}
            if (name == "full") != (ratio is None) or kept.has(key):
                continue
            started = time.monotonic()
            try:
                found = run(case, METHODS[name], ratio, seed)
            except ValueError as error:
                print(f"{name} at {ratio}, seed {seed}: {error}", flush=True)
                continue
            kept.keep({**key, **found, "commit": machine["commit"]})
            print(
                f"{name} at {ratio}, seed {seed}: accuracy {found['test']['accuracy']:.4f}, "
                f"{found['file_bytes']:,} bytes, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    rows = [row for row in kept.rows if row["method"] in METHODS]
    facts = {
        "data": options.data.stem,
        "quick": options.quick,
        "width": options.width,
        "classes": len(split.classes),
        "machine": machine,
        **{part: len(getattr(split, part)) for part in ("train", "validation", "test")},
    }
    text = report(rows, facts)
    path.with_suffix(".md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
