"""The command `memcom`: convert, verify, inspect, rank, golden, build-ops, doctor.

Exit codes: 0 done, 1 verification or building failed, 2 usage or bad input.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import memcom_tf
from memcom_tf.errors import message

_DONE, _FAILED, _BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Words after the command; None takes those of the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BrokenPipeError:
        # The reader of our output has seen enough (`memcom rank ... | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _DONE
    except _bad_input_errors() as error:
        print(f"memcom: error: {' '.join(str(error).split())}", file=sys.stderr)
        return _BAD_INPUT


def _bad_input_errors() -> tuple[type[Exception], ...]:
    """What bad input raises; of TensorFlow, which the phone's side never loads, OpError."""
    tensorflow = sys.modules.get("tensorflow")
    of_tensorflow = () if tensorflow is None else (tensorflow.errors.OpError,)
    return (ValueError, TypeError, ImportError, OSError, *of_tensorflow)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memcom", description="Compressed embeddings, from Keras to a proven .tflite file."
    )
    parser.add_argument("--version", action="version", version=memcom_tf.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    convert = commands.add_parser("convert", help="convert a .keras model to a .tflite file")
    convert.add_argument("model", type=Path, metavar="MODEL.keras")
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.tflite")
    convert.add_argument("-k", type=int, default=10, help="length of the ranked list (10)")
    convert.add_argument(
        "--weights",
        choices=("int8", "float32"),
        default="int8",
        help="int8: tables of vectors in int8, values of an id in int16; float32: as they are",
    )
    convert.add_argument("--force", action="store_true", help="replace the output if it exists")
    convert.add_argument("--no-verify", action="store_true", help="do not run and compare the file")
    _add_model_options(convert)
    convert.set_defaults(run=_convert)

    verify = commands.add_parser("verify", help="compare a .tflite file with its .keras model")
    verify.add_argument("model", type=Path, metavar="MODEL.keras")
    verify.add_argument("file", type=Path, metavar="MODEL.tflite")
    _add_model_options(verify)
    verify.set_defaults(run=_verify)

    inspect = commands.add_parser("inspect", help="show what a .tflite file holds")
    inspect.add_argument("file", type=Path, metavar="MODEL.tflite")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(run=_inspect)

    rank = commands.add_parser("rank", help="rank the catalogue with a .tflite file alone")
    rank.add_argument("file", type=Path, metavar="MODEL.tflite")
    rank.add_argument(
        "--history",
        nargs="+",
        required=True,
        metavar="TITLE",
        help="titles or items, in order of time",
    )
    rank.add_argument("-k", type=int, default=None, help="rows to print (all of the list)")
    rank.set_defaults(run=_rank)

    golden = commands.add_parser("golden", help="write what a .tflite file answers, for tests")
    golden.add_argument("file", type=Path, metavar="MODEL.tflite")
    golden.add_argument(
        "-o", "--output", type=Path, metavar="FILE.json", help="default: MODEL.golden.json"
    )
    golden.add_argument(
        "--check", action="store_true", help="compare with what was written, instead of writing"
    )
    golden.set_defaults(run=_golden)

    build_ops = commands.add_parser("build-ops", help="compile the fused C++ ops of training")
    build_ops.add_argument("--force", action="store_true", help="also if they are in the cache")
    build_ops.set_defaults(run=_build_ops)

    doctor = commands.add_parser("doctor", help="show which ops training runs on, and why")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that registers your own layers; may be repeated",
    )
    parser.add_argument(
        "--allow-unsafe-deserialization",
        action="store_true",
        help="let the .keras file run code that it carries (Keras' safe mode off)",
    )
    parser.add_argument(
        "--examples",
        type=Path,
        metavar="FILE.npz",
        help="arrays `history` [n, L] and `target` [n] of ids: compares a ranker's metrics",
    )


def _load_model(options: argparse.Namespace) -> Any:
    if not options.model.is_file():
        raise FileNotFoundError(
            message("The model must be a .keras file.", "", path=str(options.model))
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from memcom_tf import layers, models  # noqa: F401  registers them with Keras
    from memcom_tf._keras import keras

    sys.path.insert(0, os.getcwd())
    for module in options.modules:
        importlib.import_module(module)
    try:
        return keras.models.load_model(
            options.model, compile=False, safe_mode=not options.allow_unsafe_deserialization
        )
    # Keras lets through whatever the zip, HDF5 and JSON readers and the layers raise.
    except Exception as error:
        # What names the layer stands behind what names the model, and before its whole config.
        inner = str(error).rpartition("Exception encountered: ")[2].strip() or repr(error)
        reason = inner.splitlines()[0].partition(" Full object config")[0]
        raise ValueError(
            message(
                f"The model must be loadable by Keras {keras.__version__}, which says: {reason}",
                "Layers of your own are loaded with --import MODULE, Lambda layers with "
                "--allow-unsafe-deserialization; a model that tf_keras saved needs "
                "TF_USE_LEGACY_KERAS=1.",
                path=str(options.model),
            )
        ) from error


def _load_examples(path: Path | None, model: Any) -> Any:
    if path is None:
        return None
    import numpy as np

    from memcom_tf.evaluation import Examples

    _require_file(path)
    try:
        with np.load(path) as arrays:
            history, target = arrays["history"], arrays["target"]
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            message(
                "The examples must be an .npz file of `history` and `target`.", "", path=str(path)
            )
        ) from error
    vocabulary = getattr(model, "vocabulary", None)
    reserved = 1 if vocabulary is None else vocabulary.first_id
    return Examples(history, target, np.arange(len(target)), reserved)


def _convert(options: argparse.Namespace) -> int:
    output: Path = options.output
    if output.exists() and not options.force:
        raise FileExistsError(
            message("The output must not exist.", "Replace it with --force.", path=str(output))
        )
    if not output.parent.is_dir():
        raise FileNotFoundError(
            message("The folder of the output must exist.", "", path=str(output.parent))
        )
    model = _load_model(options)
    from .conversion import convert

    conversion = convert(
        model,
        k=options.k,
        weights=options.weights,
        verify=not options.no_verify,
        examples=_load_examples(options.examples, model),
    )
    from .display import show_report, show_verification

    if conversion.verification is not None:
        show_verification(conversion.verification)
        if not conversion.verification.passed:
            print(f"memcom: {output} was not written", file=sys.stderr)
            return _FAILED
    conversion.save(output, overwrite=options.force)
    show_report(conversion.report)
    return _DONE


def _verify(options: argparse.Namespace) -> int:
    _require_file(options.file)
    model = _load_model(options)
    from .display import show_verification
    from .verification import verify

    verification = verify(model, options.file, examples=_load_examples(options.examples, model))
    show_verification(verification)
    return _DONE if verification.passed else _FAILED


def _inspect(options: argparse.Namespace) -> int:
    _require_file(options.file)
    from .runtime import CompressedModelFile

    file = CompressedModelFile(options.file)
    if options.json:
        import json

        print(json.dumps(file.report, indent=1))
    else:
        from .display import show_report

        show_report(file.report)
    return _DONE


def _rank(options: argparse.Namespace) -> int:
    _require_file(options.file)
    from .runtime import CompressedModelFile

    file = CompressedModelFile(options.file)
    vocabulary = file.vocabulary
    history = [_id_of(vocabulary, text) for text in options.history]
    ids, scores = file.rank(history)
    count = len(ids) if options.k is None else options.k
    if not 1 <= count <= len(ids):
        raise ValueError(
            message(
                f"`-k` must be in [1, {len(ids)}], the length at conversion.",
                "Convert the model with a larger -k.",
                k=options.k,
            )
        )
    # A part of a title is enough to name a film: say which one was understood.
    print(f"After: {'; '.join(_names(vocabulary, history))}", file=sys.stderr)
    names = _names(vocabulary, ids[:count])
    width = max(map(len, names))
    for position, (name, score) in enumerate(zip(names, scores, strict=False), start=1):
        print(f"{position:3d}  {name:{width}s}  {score:8.3f}")
    return _DONE


def _golden(options: argparse.Namespace) -> int:
    _require_file(options.file)
    import json

    from memcom_tf.files import write_atomically

    from . import golden
    from .runtime import CompressedModelFile

    file = CompressedModelFile(options.file)
    path: Path = options.output or golden.golden_path(options.file)
    if not options.check:
        write_atomically(path, (json.dumps(golden.golden(file), indent=1) + "\n").encode())
        print(path)
        return _DONE
    _require_file(path)
    found = golden.differences(json.loads(path.read_text()), file)
    print("\n".join(found) or f"{path}: the same within its tolerance")
    return _FAILED if found else _DONE


def _build_ops(options: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow  # noqa: F401  its seconds are not those of building

    from memcom_tf.ops import build, selection

    start = time.perf_counter()
    try:
        path = build.build(options.force, temporary=False)
        with selection.use("native"):
            selection.library()
    except RuntimeError as error:
        print(f"memcom: error: {error}", file=sys.stderr)
        return _FAILED
    print(f"{path} ({time.perf_counter() - start:.1f} s)")
    return _DONE


def _doctor(options: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from memcom_tf.ops import selection

    status = selection.status()
    # It must tell what is missing where rich is missing too.
    if options.json or importlib.util.find_spec("rich") is None:
        import json

        print(json.dumps(dataclasses.asdict(status), indent=1))
    else:
        from .display import show_status

        show_status(status)
    return _FAILED if status.implementation == "none" else _DONE


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(message("The file must exist.", "", path=str(path)))


def _id_of(vocabulary: Any, text: str) -> int:
    numeric = text.lstrip("-").isdigit() and text not in vocabulary
    item = int(text) if numeric else text
    if "title" in vocabulary.details and item not in vocabulary:
        return int(vocabulary.find(text))
    return int(vocabulary.ids(item))


def _names(vocabulary: Any, ids: Any) -> list[str]:
    items = [str(item) for item in vocabulary.items(ids)]
    if "title" not in vocabulary.details:
        return items
    titles = vocabulary.detail("title", ids)
    return [str(title) or item for title, item in zip(titles, items, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
