"""What the commands of `memcom` do; each takes its options and returns the exit code."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from memcom_tf.cli.loading import load_model
from memcom_tf.cli.origins import origin_of_command
from memcom_tf.converters.quantization.weights import parse_weights
from memcom_tf.errors import message
from memcom_tf.files import check_writable
from memcom_tf.progress import reporting
from memcom_tf.text import printable

DONE, FAILED = 0, 1
_LONGEST_LINE = 500


def load_examples(path: Path | None, model: Any) -> Any:
    """The examples of a file or a prepared data set, under the ids of a model."""
    if path is None:
        return None
    if path.is_dir():
        from memcom_tf.cli.prepared_data import examples_for_test

        return examples_for_test(path, model, say)
    import numpy as np

    from memcom_tf.datasets.files.npz import read_arrays
    from memcom_tf.evaluation import Examples

    require_file(path)
    must = "The examples must be an .npz file of `history` and `target`"
    try:
        arrays = read_arrays(path, ("history", "target"))
    except ValueError as error:
        raise ValueError(message(f"{must}.", str(error), path=str(path))) from error
    history, target = arrays["history"], arrays["target"]
    integers = history.dtype.kind in "iu" and target.dtype.kind in "iu"
    shapes = history.ndim == 2 and target.ndim in (1, 2) and len(history) == len(target)
    if not (integers and shapes):
        raise ValueError(
            message(
                f"{must}, integers [n, L] and [n] or [n, P].",
                "",
                history=f"{history.dtype} {list(history.shape)}",
                target=f"{target.dtype} {list(target.shape)}",
                path=str(path),
            )
        )
    vocabulary = getattr(model, "vocabulary", None)
    users = np.arange(len(target))
    if vocabulary is None:
        return Examples(history, target, users)
    return Examples(history, target, users, vocabulary.first_id, vocabulary.free_ids)


def convert(options: argparse.Namespace) -> int:
    """Converts a .keras model, proves the file, and prints its report."""
    output: Path = options.output
    check_output(output, options.force, ".tflite")
    if options.ratio is not None and not options.ratio >= 1:
        raise ValueError(message("`ratio` must be 1 or more.", "", ratio=options.ratio))
    model = load_model(options)
    from memcom_tf.converters.conversion import convert

    compression = None
    if options.max_bytes is not None or options.ratio is not None:
        compression = _compressed(model, options)
        model = compression.model
    elif options.method is not None:
        raise ValueError(
            message(
                "--method must come with the size of what it puts in.",
                "Add --max-bytes or --ratio.",
                method=options.method,
            )
        )
    examples = load_examples(options.examples, model)
    with reporting(say):
        conversion = convert(
            model,
            k=options.k,
            weights=parse_weights(options.weights),
            profile=options.profile,
            inputs=_inputs(options.inputs),
            signatures=options.signatures,
            allow_unsafe_deserialization=options.allow_unsafe_deserialization,
            samples=options.samples,
            verify=not options.no_verify,
            examples=examples,
            origin=origin_of_command(options, "convert"),
            model_version=options.model_version,
        )
    # Before anything is shown: what cannot be shown must not be lost.
    if conversion.verification is None or conversion.verification.passed:
        conversion.save(output, overwrite=options.force)
    return finish(options, conversion, compression)


def finish(options: argparse.Namespace, conversion: Any, compression: Any = None) -> int:
    """Shows a conversion that was saved, or failed its proof, and says what is next."""
    from memcom_tf.converters.inspection.display import show_report, show_verification

    verification, output = conversion.verification, options.output
    passed = verification is None or verification.passed
    if options.json:
        _print_json(
            {
                "output": str(output) if passed else None,
                **({} if compression is None else {"compression": str(compression)}),
                "verification": _as_dict(verification),
                "report": conversion.report,
            }
        )
    elif verification is not None:
        show_verification(verification)
    if not passed:
        say(f"{output} was not written")
        return FAILED
    if not options.json:
        show_report(conversion.report)
    signatures = conversion.report["signatures"]
    commands = {"rank": "rank", "predict": "score"}
    following = next((commands[name] for name in commands if name in signatures), "inspect")
    next_is(output, f"memcom {following} {output}")
    return DONE


def _as_dict(verification: Any) -> Any:
    """A verification as JSON; None where there was none."""
    if verification is None:
        return None
    return {"passed": verification.passed, **dataclasses.asdict(verification)}


def _print_json(document: Any) -> None:
    import json

    def plain(value: Any) -> Any:  # NumPy's numbers
        return value.item() if hasattr(value, "item") else str(value)

    print(json.dumps(document, indent=1, default=plain))


def require_one_length(options: argparse.Namespace) -> None:
    """Requires that one option at most says how long to train."""
    if options.epochs is not None and options.steps is not None:
        raise ValueError(
            message(
                "Either --epochs or --steps must say how long to train.",
                "Leave one of them out.",
                epochs=options.epochs,
                steps=options.steps,
            )
        )


def tell(options: argparse.Namespace, line: str, **values: object) -> None:
    """Prints a result: a line, or its values with `--json`."""
    if options.json:
        _print_json(values)
    else:
        print(line)


def next_is(output: Path, command: str) -> None:
    """Says that a file was written, and the command that takes it."""
    say(f"wrote {output}; next: {command}")


def _require_new(output: Path, force: bool) -> None:
    """Requires that a file can be written without replacing another."""
    if output.is_dir():
        raise IsADirectoryError(message("The output must be a file.", "", path=str(output)))
    if output.exists() and not force:
        raise FileExistsError(
            message("The output must not exist.", "Replace it with --force.", path=str(output))
        )
    if not output.parent.is_dir():
        raise FileNotFoundError(
            message("The folder of the output must exist.", "", path=str(output.parent))
        )


def _compressed(model: Any, options: argparse.Namespace) -> Any:
    """The model with smaller tables, and what became of each, which is printed."""
    from memcom_tf.compression import compress_embeddings

    if isinstance(model, Path):
        raise ValueError(
            message(
                "A model whose tables are to be replaced must be a .keras file.",
                "A SavedModel is converted as it is.",
                path=str(model),
            )
        )
    compression = compress_embeddings(
        model,
        ratio=options.ratio,
        max_bytes=options.max_bytes,
        method=options.method,
        inputs=_inputs(options.inputs),
        report=say,
    )
    if not options.json:
        print(compression)
    return compression


def _inputs(words: list[str] | None) -> Any:
    from memcom_tf.cli.input_specs import parse_inputs

    return None if words is None else parse_inputs(words)


def verify(options: argparse.Namespace) -> int:
    """Compares a .tflite file with its .keras model."""
    require_file(options.file)
    require_suffix(options.file, ".tflite", "second file")
    model = load_model(options)
    from memcom_tf.converters.inspection.display import show_verification
    from memcom_tf.converters.proof import verify

    verification = verify(
        model,
        options.file,
        inputs=_inputs(options.inputs),
        allow_unsafe_deserialization=options.allow_unsafe_deserialization,
        samples=options.samples,
        signatures=options.signatures,
        examples=load_examples(options.examples, model),
    )
    if options.json:
        _print_json(_as_dict(verification))
    else:
        show_verification(verification)
    return DONE if verification.passed else FAILED


def inspect(options: argparse.Namespace) -> int:
    """Shows what a .tflite file holds."""
    require_file(options.file)
    from memcom_tf.converters.runtime import CompressedModelFile

    if options.html is not None:
        check_page(options.html, options.force)
    report = CompressedModelFile(options.file).report
    if options.measure:
        from memcom_tf.converters.inspection.measurement import measure

        report = {**report, "measured": measure(options.file)}
    if options.html is not None:
        from memcom_tf.converters.inspection.html_report import write_html

        write_html(report, options.html)
    if options.json:
        import json

        print(json.dumps(report, indent=1))
    else:
        from memcom_tf.converters.inspection.display import show_report

        show_report(report)
    return DONE


def golden(options: argparse.Namespace) -> int:
    """Writes what a .tflite file answers, or compares it with what was written."""
    require_file(options.file)
    import json

    from memcom_tf.converters.inspection import golden as values
    from memcom_tf.converters.runtime import CompressedModelFile
    from memcom_tf.files import write_atomically

    file = CompressedModelFile(options.file)
    path: Path = options.output or values.golden_path(options.file)
    if not options.check:
        write_atomically(path, (json.dumps(values.golden(file), indent=1) + "\n").encode())
        print(path)
        return DONE
    require_file(path)
    found = _differences(path, file)
    print(
        "\n".join(printable(line, _LONGEST_LINE) for line in found)
        or f"{path}: the same within its tolerance"
    )
    return FAILED if found else DONE


def _differences(path: Path, file: Any) -> list[str]:
    import json

    from memcom_tf.converters.inspection.golden import differences

    try:
        return differences(json.loads(path.read_text(encoding="utf-8")), file)
    # A document of another form: what it lacks, or has in place of numbers.
    except (AttributeError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(
            message(
                "The golden values must be those that `memcom golden` wrote of this file.",
                "Write them again, without --check.",
                path=str(path),
            )
        ) from error


def require_suffix(path: Path, suffix: str, what: str = "output") -> None:
    """Requires that a file's name ends as its content says."""
    if path.suffix != suffix:
        raise ValueError(message(f"The {what} must end in {suffix}.", "", path=str(path)))


def check_output(path: Path, force: bool, suffix: str) -> None:
    """Requires, before the work, that an output can be written."""
    require_suffix(path, suffix)
    _require_new(path, force)
    check_writable(path)


def check_page(path: Path, force: bool) -> None:
    """Requires, before the work, that a page can be made and written."""
    check_output(path, force, ".html")
    from memcom_tf.converters.inspection.page import require_charts

    require_charts()


def require_file(path: Path) -> None:
    """Requires that a file exists."""
    if not path.is_file():
        raise FileNotFoundError(message("The file must exist.", "", path=str(path)))


def say(line: str) -> None:
    """Prints a line on what is done, beside the output."""
    print(f"memcom: {line}", file=sys.stderr, flush=True)
