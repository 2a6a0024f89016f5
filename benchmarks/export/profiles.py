"""What the profiles of `convert` cost and save: bytes, time and memory of lookups in one table.

python -m benchmarks.export.profiles                     the published figures
python -m benchmarks.export.profiles --quick --json OUT  one round
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.common import measure
from benchmarks.export.profile_case import BATCHES, HISTORY, ROWS, WIDTH

CASES = [
    *((kind, profile) for kind in ("int8", "int4", "int2") for profile in ("portable", "litert")),
    ("float16", "portable"),
    ("float32", "portable"),
]
_SIZES = [batch * HISTORY for batch in BATCHES]


def report(document: measure.Result) -> str:
    """The table, in Markdown."""
    rows = [
        (
            name,
            found["operator"],
            found["min_runtime_version"].removesuffix(".0"),
            f"{found['bytes'] / ROWS:.1f}",
            *(measure.spread(found[f"us_{size}"]) for size in _SIZES),
            f"{found['anonymous_bytes']['median'] / 1e6:.1f}",
        )
        for name, found in document["cases"].items()
    ]
    times = [f"µs, {size:,} ids" for size in _SIZES]
    head = ("weights, profile", "read by", "runs from", "bytes a row", *times, "memory, MB")
    return (
        "# Profiles\n\n`python -m benchmarks.export.profiles`. A Keras Embedding of "
        f"{ROWS:,} rows of {WIDTH}, on ai-edge-litert, one thread: medians of {document['rounds']} "
        "rounds (smallest-largest). Memory is what the loaded file takes beside its mapped pages, "
        "the runtime's own included.\n\n" + measure.table(head, rows)
    )


def main() -> None:
    """Converts every case once, and runs them in turns."""
    options = measure.parse(measure.parser(__doc__.splitlines()[0]))
    cases = {f"{kind}, {profile}": (kind, profile) for kind, profile in CASES}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.tflite") for name in cases}

        def worker(name: str) -> measure.Result:
            kind, profile = cases[name]
            arguments = {"path": files[name], "kind": kind, "profile": profile}
            return measure.run_worker("benchmarks.export.profile_case", arguments)

        written = {name: worker(name) for name in cases}
        rounds = measure.in_rounds(list(cases), options.rounds, worker)
    figures = {
        name: {
            **written[name],
            **{key: measure.summary(found[key] for found in results) for key in results[0]},
        }
        for name, results in rounds.items()
    }
    document = {"machine": measure.describe_machine(), "cases": figures}
    measure.publish("profiles", options, document, report({**document, "rounds": options.rounds}))


if __name__ == "__main__":
    main()
