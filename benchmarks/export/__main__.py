"""Files of the same trained models by every converter: bytes, error, ranking, milliseconds.

    python -m benchmarks.export --json OUT

Models of MovieLens 100K: plain Keras, a DLRM of keras-rs, a two-tower model of TensorFlow
Recommenders, and one with MEmCom. Each is trained in a process of its own, and written by
memcom_tf, by `tf.lite.TFLiteConverter` with `Optimize.DEFAULT`, by the same and then Google's
ai-edge-quantizer, and by Keras' `quantize` and export to LiteRT. All files run on LiteRT.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS, run_worker
from benchmarks.export.models import HISTORY_LENGTH, MODELS, Exported

_USERS = 400
_TIMED = 50
_EPOCHS = 8
_LEGACY = ("two_tower",)


def ours(model: Any, folder: Path, weights: str = "int8") -> Path:
    """`memcom_tf.converters.convert`."""
    from memcom_tf.converters import convert

    conversion = convert(model, weights=weights)
    if not conversion.verification.passed:
        raise RuntimeError("The file does not equal the model.")
    path = folder / "ours.tflite"
    conversion.save(path)
    return path


def float32(model: Any, folder: Path) -> Path:
    """The converter of TensorFlow without options."""
    return _by_tensorflow(model, folder, quantized=False)


def default(model: Any, folder: Path) -> Path:
    """The converter of TensorFlow with `Optimize.DEFAULT`."""
    return _by_tensorflow(model, folder, quantized=True)


def _by_tensorflow(model: Any, folder: Path, quantized: bool) -> Path:
    import tensorflow as tf

    model.export(str(folder / "saved"))
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder / "saved"), signature_keys=["serving_default"]
    )
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path = folder / "tensorflow.tflite"
    path.write_bytes(converter.convert())
    return path


def google(model: Any, folder: Path) -> Path:
    """TensorFlow's float file, quantized by ai-edge-quantizer: int8 weights by channel."""
    from ai_edge_quantizer import quantizer, recipe

    path = float32(model, folder)
    work = quantizer.Quantizer(str(path), recipe.dynamic_wi8_afp32())
    written = folder / "google.tflite"
    work.quantize().export_model(str(written), overwrite=True)
    return written


def keras_quantize(model: Any, folder: Path) -> Path:
    """Keras' `quantize("int8")`, and its export to LiteRT."""
    model.save(folder / "copy.keras")
    from memcom_tf._keras import keras

    copy = keras.models.load_model(folder / "copy.keras")
    copy.quantize("int8")
    path = folder / "keras.tflite"
    copy.export(str(path), format="litert")
    return path


ROUTES: dict[str, Callable[[Any, Path], Path]] = {
    "float32, TensorFlow's converter": float32,
    "memcom_tf int8": ours,
    "memcom_tf int8, a scale a table": lambda model, folder: ours(model, folder, "int8_per_table"),
    "memcom_tf int4": lambda model, folder: ours(model, folder, "int4"),
    "TensorFlow's converter, DEFAULT": default,
    "ai-edge-quantizer, dynamic int8": google,
    "Keras quantize int8, export": keras_quantize,
}


def case(arguments: dict[str, Any]) -> dict[str, Any]:
    """Trains a model and measures the files of every route; runs in a process of its own."""
    from memcom_tf._keras import keras
    from memcom_tf.datasets import movielens_100k
    from memcom_tf.evaluation import evaluate_ranking, leave_last_out

    keras.utils.set_random_seed(arguments["seed"])
    split = leave_last_out(movielens_100k(), history_length=HISTORY_LENGTH)
    exported = MODELS[arguments["model"]](split, arguments["epochs"])
    examples = split.test[: arguments["users"]]
    items = np.arange(split.vocabulary.input_dim, dtype=np.int32)

    def of_keras(histories: Any) -> Any:
        return np.stack([_in_keras(exported, history, items) for history in histories])

    wanted = of_keras(examples.history)
    found: dict[str, Any] = {
        "parameters": exported.model.count_params(),
        "ndcg@10": evaluate_ranking(lambda _: wanted, examples, batch_size=len(examples))[
            "ndcg@10"
        ],
        "routes": {},
    }
    for name, route in ROUTES.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = route(exported.model, Path(folder))
            except Exception as error:  # what a rival cannot do is a result
                reason = str(error).strip().splitlines() or [repr(error)]
                found["routes"][name] = {"failed": f"{type(error).__name__}: {reason[0][:200]}"}
                continue
            found["routes"][name] = _measured(path, exported, examples, items, wanted)
    return found


def _in_keras(exported: Exported, history: np.ndarray, items: np.ndarray) -> np.ndarray:
    inputs = exported.inputs(history, items)
    model = exported.model
    packed = inputs if isinstance(model.input, dict) else list(inputs.values())
    return np.asarray(model(packed, training=False)).reshape(-1)


def _measured(
    path: Path, exported: Exported, examples: Any, items: np.ndarray, wanted: np.ndarray
) -> dict[str, Any]:
    from memcom_tf.evaluation import evaluate_ranking

    runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner(
        "serving_default"
    )
    names = sorted(runner.get_input_details())
    seconds = []

    def run(history: np.ndarray) -> np.ndarray:
        inputs = exported.inputs(history, items)
        # Converters name the inputs of a model in their own ways, in the same order.
        named = dict(zip(names, (inputs[name] for name in sorted(inputs)), strict=True))
        start = time.perf_counter()
        output = runner(**named)
        seconds.append(time.perf_counter() - start)
        return np.asarray(next(iter(output.values()))).reshape(-1)

    scores = np.stack([run(history) for history in examples.history])
    spread = wanted.std(axis=1, keepdims=True)
    ndcg = evaluate_ranking(lambda _: scores, examples, batch_size=len(examples))["ndcg@10"]
    error = np.abs(scores - wanted) / spread
    return {
        "bytes": _graph_bytes(path),
        "largest_error": float(error.max()),
        "median_error": float(np.median(error)),
        "ndcg@10": ndcg,
        "milliseconds": 1000 * statistics.median(seconds[:_TIMED]),
    }


def _graph_bytes(path: Path) -> int:
    """Bytes of a file without what memcom_tf appends to it."""
    from memcom_tf.converters.model_file.archive import read_archive

    try:
        return read_archive(path).graph_bytes
    except ValueError:
        return path.stat().st_size


def report(results: dict[str, Any]) -> str:
    """The tables, in Markdown."""
    lines = [
        "# Files by converter",
        "",
        "`python -m benchmarks.export`. "
        f"MovieLens 100K, {results['users']} users' last items, seed {results['seed']}, "
        f"{results['epochs']} epochs. Errors of scores in standard deviations of a user's scores. "
        "Milliseconds: scoring the catalogue for one user on one thread, median.",
        "",
    ]
    for name, found in results["models"].items():
        ndcg = found["ndcg@10"]
        lines += [
            f"## {name}: {found['parameters']:,} parameters, nDCG@10 {ndcg:.4f} in Keras",
            "",
            "| file | bytes | nDCG@10 | median error | largest error | ms |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for route, row in found["routes"].items():
            if "failed" in row:
                lines.append(f"| {route} | failed: {row['failed']} | | | | |")
            else:
                lines.append(
                    f"| {route} | {row['bytes']:,} | {row['ndcg@10']:.4f} | "
                    f"{row['median_error']:.2g} | {row['largest_error']:.2g} | "
                    f"{row['milliseconds']:.2f} |"
                )
        lines.append("")
    lines.append(", ".join(f"{key} {value}" for key, value in results["machine"].items()))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures and writes the tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options.add_argument("--users", type=int, default=_USERS)
    options.add_argument("--epochs", type=int, default=_EPOCHS)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--json", type=Path, default=RESULTS / "export.json")
    parsed = options.parse_args()
    results: dict[str, Any] = {
        "users": parsed.users,
        "epochs": parsed.epochs,
        "seed": parsed.seed,
        "machine": describe(),
        "models": {},
    }
    for model in parsed.models:
        arguments = {"model": model, **{key: results[key] for key in ("users", "epochs", "seed")}}
        environment = {"TF_USE_LEGACY_KERAS": "1" if model in _LEGACY else "0"}
        results["models"][model] = run_worker("benchmarks.export.case", arguments, environment)
        print(model, json.dumps(results["models"][model], indent=1), file=sys.stderr)
    parsed.json.write_text(json.dumps(results, indent=1) + "\n")
    parsed.json.with_suffix(".md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main()
