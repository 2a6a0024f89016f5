"""What the app's ranker costs: a catalogue of a million, on the x86_64 library of the APK.

    make apk && python -m benchmarks.android_ranking

Time of the host is not a phone's; memory and bytes are much the same there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from benchmarks.common import measure

ITEMS = 1_000_000
QUICK_ITEMS = 20_000
OUTPUT_DIM = 64
IDS_A_ROW = 16
HISTORY_LENGTH = 50
K = 20
RANKINGS = 1000

APP = measure.ROOT / "android_demo"
BUILD = measure.ROOT / "build" / "android"
LIBRARIES = APP / "tools" / "tflite" / "target" / "aar" / "jni" / "x86_64"
SHIM = APP / "tools" / "glibc-shim" / "target" / "x86_64"
METHODS = {
    "MEmCom int8": "a shared row for 16 ids",
    "uncompressed int8": "a row an id",
}
PARTS = {
    "lib/": "TensorFlow Lite",
    "assets/": "models with titles",
    "classes.dex": "code",
    "resources.arsc": "resources",
    "res/": "resources",
}


def write_model(method: str, items: int, path: Path) -> None:
    """Writes an untrained ranker with titles; runs in a process of its own."""
    import numpy as np

    from memcom_tf import FullEmbedding, MEmComEmbedding, Vocabulary
    from memcom_tf.converters import convert
    from memcom_tf.models import NextItemRanker

    input_dim = items + 1
    if method.startswith("MEmCom"):
        embedding = MEmComEmbedding(input_dim, OUTPUT_DIM, num_buckets=items // IDS_A_ROW)
    else:
        embedding = FullEmbedding(input_dim, OUTPUT_DIM)
    titles = {item: f"Title number {item}" for item in range(items)}
    ranker = NextItemRanker(
        embedding,
        history_length=HISTORY_LENGTH,
        item_bias=False,
        vocabulary=Vocabulary(range(items), details={"title": titles}),
    )
    ranker.build((None, HISTORY_LENGTH))
    rng = np.random.default_rng(0)
    for variable in embedding.trainable_variables:
        variable.assign(rng.normal(0, 0.1, variable.shape).astype(np.float32))
    conversion = convert(ranker, k=K)  # which proves the file, exactness of the list included
    if not conversion.verification.passed:
        raise SystemExit(f"The file does not equal the model: {conversion.verification}")
    path.parent.mkdir(parents=True, exist_ok=True)
    conversion.save(path, overwrite=True)


def run_ranker(path: Path) -> measure.Result:
    """Loads the file and ranks, in a process of its own."""
    listed = (APP / "app" / "target" / "test-classpath").read_text().strip()
    done = subprocess.run(
        [
            *("java", "-Xmx1g", f"-Djava.library.path={LIBRARIES}"),
            *("-cp", f"{APP}/ranker/target/test-classes:{listed}"),
            *("memcom.tflite.RankingBenchmark", str(path), str(RANKINGS)),
        ],
        env={"LD_LIBRARY_PATH": str(SHIM), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"The ranker must succeed. Received:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def apk_parts(path: Path) -> measure.Result:
    """Bytes of an APK by what they are, as stored in it."""
    parts = dict.fromkeys([*PARTS.values(), "signature, manifest, directory"], 0)
    with zipfile.ZipFile(path) as apk:
        for info in apk.infolist():
            for prefix, name in PARTS.items():
                if info.filename.startswith(prefix):
                    parts[name] += info.compress_size
                    break
    total = path.stat().st_size
    parts["signature, manifest, directory"] = total - sum(parts.values())
    return {**parts, "all": total}


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    rows = []
    for name, case in document["cases"].items():
        memory = case["memory"]

        def anonymous(stage: str, memory: measure.Result = memory) -> str:
            return f"{memory[stage]['RssAnon'] / 1e6:.0f} + {memory[stage]['RssFile'] / 1e6:.0f}"

        rows.append(
            (
                name,
                f"{case['graph_bytes'] / 1e6:.1f}",
                f"{case['file_bytes'] / 1e6:.1f}",
                measure.spread(case["ms"]),
                f"{case['ms_p95']['median']:.3g}",
                f"{case['load_ms']['median']:.0f}",
                *(anonymous(stage) for stage in ("start", "titles", "loaded", "ranked")),
            )
        )
    head = (
        "file",
        "graph, MB",
        "file with titles, MB",
        "rank, ms",
        "95 of 100 within, ms",
        "open, ms",
        "RAM at start, MB",
        "with titles",
        "with the first list",
        f"after {RANKINGS} lists",
    )
    text = (
        "# Ranking on the app's own ranker\n\n"
        "`make apk && python -m benchmarks.android_ranking`. The app's `TfliteRanker` and the "
        "x86_64 library out of TensorFlow Lite's Android archive, on the host's Java, one thread: "
        f"{document['items']:,} items, vectors of {OUTPUT_DIM}, histories of 1 to "
        f"{HISTORY_LENGTH}, the exact best {K}. Rank: median over rounds of the median of "
        f"{RANKINGS} rankings (smallest-largest round). RAM: RssAnon + RssFile after a collection "
        "of garbage; that at the start is the Java machine's, which a phone shares among its apps. "
        "Titles are looked up in the mapped file. **Not a phone's time.**\n\n"
        + measure.table(head, rows)
    )
    names = list(document["apks"])
    parts = document["apks"][names[0]]
    rows = [(part, *(f"{document['apks'][name][part]:,}" for name in names)) for part in parts]
    return (
        text
        + "\n## Bytes of the APK\n\nWith the demo's two models.\n\n"
        + measure.table(("part", *names), rows)
    )


def main() -> None:
    """Measures, prints and writes."""
    options = measure.parse(measure.parser(__doc__.splitlines()[0]))
    apks = sorted(BUILD.glob("*.apk"))
    if not apks or not (APP / "app" / "target" / "test-classpath").exists():
        raise SystemExit("The app must be built. Run: make apk")
    machine = measure.describe_machine()
    items = QUICK_ITEMS if options.quick else ITEMS
    paths = {
        name: BUILD / "benchmark" / f"{name.replace(' ', '_')}_{items}.tflite" for name in METHODS
    }
    for name, path in paths.items():
        if not path.exists():
            arguments = {"method": name, "items": items, "path": str(path)}
            measure.run_worker("benchmarks.android_ranking", arguments)
    rounds = measure.in_rounds(list(paths), options.rounds, lambda name: run_ranker(paths[name]))
    cases = {
        name: {
            **{
                key: measure.summary(result[key] for result in results)
                for key in ("ms", "ms_p05", "ms_p95", "load_ms")
            },
            "memory": results[-1]["memory"],
            "file_bytes": paths[name].stat().st_size,
            "graph_bytes": graph_bytes(paths[name]),
        }
        for name, results in rounds.items()
    }
    document = {
        "items": items,
        "cases": cases,
        "apks": {apk.stem: apk_parts(apk) for apk in apks},
        "all_rounds": rounds,
        "machine": machine,
    }
    measure.publish("android_ranking", options, document, report(document))


def graph_bytes(path: Path) -> int:
    """Size of the flatbuffer: where the first member of the archive behind it starts."""
    with zipfile.ZipFile(path) as archive:
        return min(info.header_offset for info in archive.infolist())


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        arguments = json.loads(sys.argv[1])
        write_model(arguments["method"], arguments["items"], Path(arguments["path"]))
        print("{}")
    else:
        main()
