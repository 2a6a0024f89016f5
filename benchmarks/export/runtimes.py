"""The same files on runtimes of different years: what runs, what is refused, and whether it agrees.

    python -m benchmarks.export.runtimes --json OUT

Every runtime is installed in a virtual environment of its own, which needs the package index.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS

RUNTIMES = {
    "tflite-runtime 2.14": ["tflite-runtime==2.14.0", "numpy<2"],
    "TensorFlow 2.16": ["tensorflow-cpu==2.16.2", "numpy<2"],
    "ai-edge-litert 1.4": ["ai-edge-litert==1.4.0"],
    "ai-edge-litert 2.1": ["ai-edge-litert==2.1.2"],
}
"""What pip installs for each; compared with the ai-edge-litert that memcom_tf runs on here."""
PROFILES = ("portable", "litert")
_TOLERANCE = {"ranker": 1e-4, "Keras": 2e-2}
"""Of the largest output, by the first word of a file's name: what float32 sums in another order may
differ by, and what activations that are rounded to 127 or 255 steps may."""
_ITEMS, _WIDTH, _LENGTH = 5000, 32, 10


def write_files(folder: Path) -> None:
    """Files of different methods, bits and layers, and inputs for each."""
    from memcom_tf import FullEmbedding, MEmComEmbedding, ResidualQuantizedEmbedding
    from memcom_tf._keras import keras
    from memcom_tf.converters import convert
    from memcom_tf.models import NextItemRanker

    rng = np.random.default_rng(0)

    def filled(model: Any) -> Any:
        for weight in model.trainable_weights:
            weight.assign(rng.normal(0.1, 0.3, weight.shape))
        return model

    def ranker(embedding: Any) -> Any:
        model = NextItemRanker(embedding, history_length=_LENGTH)
        model.build_once()
        return filled(model)

    def plain() -> Any:
        history = keras.Input([_LENGTH], dtype="int32", name="history")
        table = keras.layers.Embedding(_ITEMS, _WIDTH, mask_zero=True, name="items")
        pooled = keras.layers.GlobalAveragePooling1D()(table(history))
        hidden = keras.layers.Dense(64, activation="relu", name="hidden")(pooled)
        return filled(keras.Model(history, keras.layers.Dense(100, name="scores")(hidden)))

    history = np.array([[4, 9, _ITEMS - 1, 1, 2, 0, 0, 0, 0, 0]], np.int32)
    candidates = np.array([1, 2, 3, _ITEMS // 2, _ITEMS - 2, _ITEMS - 1], np.int32)
    of_ranker = {
        "rank:history": history,
        "score:history": history,
        "score:candidates": candidates,
        "embed:ids": candidates,
    }
    of_model = {"serving_default:history": np.repeat(history, 3, axis=0)}
    shape = _ITEMS, _WIDTH
    low = {"shared": "int4_per_table", "multiplier": "int8_per_bucket"}
    cases: dict[str, tuple[Any, str, dict[str, np.ndarray]]] = {
        f"Keras Embedding and Dense, {kind}": (plain(), kind, of_model)
        for kind in ("int8", "int4", "int2", "float16", "float32")
    }
    rankers = {
        "ranker, full table, int8": FullEmbedding(*shape),
        "ranker, MEmCom, int8": MEmComEmbedding(*shape, num_buckets=300),
        "ranker, MEmCom, int4": MEmComEmbedding(*shape, num_buckets=300, storage=low),
        "ranker, residual codes, int8": ResidualQuantizedEmbedding(*shape, num_codebooks=4),
    }
    cases |= {name: (ranker(layer), "int8", of_ranker) for name, layer in rankers.items()}
    for case, (model, kind, inputs) in cases.items():
        for profile in PROFILES:
            name = f"{case}, {profile}"
            conversion = convert(model, weights=kind, profile=profile)
            assert conversion.verification is not None and conversion.verification.passed, name
            conversion.save(folder / f"{name}.tflite")
            np.savez(folder / f"{name}.npz", **inputs)


def environment(name: str, packages: list[str]) -> Path:
    """The Python of a virtual environment with a runtime, made once."""
    folder = user_cache_path("memcom_tf") / "runtimes" / name.replace(" ", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "ready").touch()
    return python


def outputs(python: Path, folder: Path) -> dict[str, Any]:
    """What a runtime says to every file: arrays by name, or the words with which it refused."""
    for path in folder.glob("*.out.*"):
        path.unlink()
    worker = Path(__file__).with_name("runtime_worker.py")
    subprocess.run([python, worker, folder], check=True, capture_output=True)
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.tflite")):
        written = path.with_suffix(".out.npz")
        if written.exists():
            with np.load(written) as arrays:
                found[path.stem] = dict(arrays)
        else:
            words = path.with_suffix(".out.txt").read_text().strip().splitlines()
            found[path.stem] = words[0]
    return found


def difference(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """The largest difference, relative to the largest value; infinite for other ids."""
    worst = 0.0
    for name, values in wanted.items():
        if values.dtype.kind in "iu":
            worst = max(worst, 0.0 if np.array_equal(values, found[name]) else np.inf)
        else:
            scale = max(1.0, float(np.abs(values).max()))
            worst = max(worst, float(np.abs(values - found[name]).max()) / scale)
    return worst


def _short(words: str) -> str:
    """The first sentence of a refusal."""
    return words.partition(".")[0].replace("|", "/")


def report(results: dict[str, Any]) -> str:
    """The table, in Markdown."""
    names = list(RUNTIMES)
    lines = [
        "# The same files on other runtimes",
        "",
        "`python -m benchmarks.export.runtimes`. Largest difference to "
        f"{results['reference']}, relative to the largest value of an output; ids are the same. "
        "Runtimes round activations in their own ways before they multiply them with int8 kernels. "
        "Each model is converted for both profiles: portable files must run everywhere, and files "
        "for LiteRT must be refused where their operators are not known. The words of a refusal "
        "are the runtime's own.",
        "",
        f"| file | bytes | {' | '.join(names)} |",
        f"| --- | ---: |{' ---: |' * len(names)}",
    ]
    for file, row in results["files"].items():
        cells = [
            f"refused: {_short(found)}" if isinstance(found, str) else f"{found:.1g}"
            for found in (row["runtimes"][name] for name in names)
        ]
        lines.append(f"| {file} | {row['bytes']:,} | {' | '.join(cells)} |")
    lines += ["", ", ".join(f"{key} {value}" for key, value in results["machine"].items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Runs all files on all runtimes; 1 where one says another thing."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path, default=RESULTS / "runtimes.json")
    parsed = options.parse_args()
    from importlib.metadata import version

    results: dict[str, Any] = {
        "reference": f"ai-edge-litert {version('ai-edge-litert')}",
        "machine": describe(),
        "files": {},
    }
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        wanted = outputs(Path(sys.executable), folder)
        for path in sorted(folder.glob("*.tflite")):
            results["files"][path.stem] = {"bytes": path.stat().st_size, "runtimes": {}}
        for runtime, packages in RUNTIMES.items():
            found = outputs(environment(runtime, packages), folder)
            for file, values in found.items():
                same: Any = values
                if not isinstance(values, str):
                    same = difference(values, wanted[file])
                    failed += same > _TOLERANCE[re.split("[ ,]", file)[0]]
                elif file.endswith("portable"):
                    failed += 1
                results["files"][file]["runtimes"][runtime] = same
    parsed.json.write_text(json.dumps(results, indent=1) + "\n")
    parsed.json.with_suffix(".md").write_text(report(results))
    print(report(results))
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
