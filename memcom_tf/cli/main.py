"""The command `memcom`: train, update, compress, convert, verify, inspect, rank and others.

Exit codes: 0 done, 1 verification or building failed, 2 usage or bad input, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast, get_args

import memcom_tf
from memcom_tf.cli import (
    any_order,
    checkpoints,
    click_commands,
    commands,
    compare_command,
    completion,
    import_path,
    log_options,
    model_options,
    ops_commands,
    origins,
    prepare_command,
    quiet,
    rank_command,
    ranker_commands,
    sweep_command,
    task_options,
    training_options,
    try_command,
    update_command,
)
from memcom_tf.converters.quantization.weights import Profile
from memcom_tf.errors import at_command_line, message
from memcom_tf.text import LONGEST_MESSAGE, printable
from memcom_tf.vocabulary.parts import OutOfVocabulary

_BAD_INPUT = 2
_STOPPED = 130  # as shells say it of a process that Ctrl-C ended
_OF_LIBRARIES = re.compile(r"[\\/](tensorflow|keras|tf_keras|numpy|absl)[\\/]")
_OF_GRAPH = re.compile(r"\AGraph execution error:.*^  File [^\n]*$", re.DOTALL | re.MULTILINE)

_EXTRAS = {"rich": "rank", "tensorflow": "tensorflow"}
"""What brings a library that a command lacks."""
_VERBOSE = "show what TensorFlow and other libraries log"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Words after the command; None takes those of the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    _let_streams_show_anything()
    with quiet.libraries(options.verbose):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        with (
            at_command_line(),
            _warnings_on_one_line(options.verbose),
            import_path.of_command(options),
        ):
            code = int(options.run(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of our output has seen enough (`memcom rank ... | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return commands.DONE
    except KeyboardInterrupt:
        print("memcom: stopped", file=sys.stderr)
        return _STOPPED
    except _bad_input_errors() as error:
        print(f"memcom: error: {_said(error, options)}", file=sys.stderr)
        return _BAD_INPUT


def _let_streams_show_anything() -> None:
    """A letter that the terminal's encoding lacks is shown by its number, and is no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _said(error: Exception, options: argparse.Namespace) -> str:
    """An error's message on one line, in which arguments of functions are options."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        return message(
            f"{error.name} must be installed for this command.",
            f'Run: pip install "memcom_tf[{_EXTRAS[error.name]}]".',
        )
    # Of an error in a graph, what is behind the lines that the graph was made by.
    said = _OF_GRAPH.sub("", str(error))
    text = printable(" ".join(said.split()), LONGEST_MESSAGE) or type(error).__name__
    return re.sub(r"`([a-z_]+)`", lambda found: f"`{options.flags.get(*[found[1]] * 2)}`", text)


@contextmanager
def _warnings_on_one_line(verbose: bool) -> Iterator[None]:
    """Warnings, which may quote a file, are shown as errors are; those of libraries with `-v`."""

    def show(said: Warning | str, kind: type, filename: str, *_also: Any, **_more: Any) -> None:
        of_others = not kind.__module__.startswith("memcom_tf")
        if of_others and _OF_LIBRARIES.search(filename) and not verbose:
            return
        text = printable(" ".join(str(said).split()), LONGEST_MESSAGE)
        print(f"memcom: warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = cast(Any, show)
        yield


def _bad_input_errors() -> tuple[type[Exception], ...]:
    """What bad input raises; of TensorFlow, which the phone's side never loads, OpError."""
    tensorflow = sys.modules.get("tensorflow")
    of_tensorflow = () if tensorflow is None else (tensorflow.errors.OpError,)
    return (ValueError, TypeError, ImportError, OSError, MemoryError, *of_tensorflow)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memcom", description="Compressed embeddings, from Keras to a proven .tflite file."
    )
    parser.add_argument("--version", action="version", version=memcom_tf.__version__)
    parser.add_argument("-v", "--verbose", action="store_true", help=_VERBOSE)
    completion.add_option(parser)
    subparsers = parser.add_subparsers(
        required=True, metavar="COMMAND", parser_class=any_order.AnyOrderParser
    )

    prepare = subparsers.add_parser(
        "prepare", help="count and split a log, or rows, of any size: a data set for `train`"
    )
    prepare_command.add_options(prepare)
    prepare.set_defaults(run=prepare_command.prepare)
    tried = subparsers.add_parser(
        "try", help="make a small file that ranks, in seconds and without data, and rank with it"
    )
    try_command.add_options(tried)
    tried.set_defaults(run=try_command.try_out)

    train = subparsers.add_parser(
        "train",
        help="train a ranker on interactions, a click model on rows, or a text classifier",
    )
    task_options.add_task(train)
    log_options.add_options(train)
    train.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.keras")
    training_options.add_options(train)
    train.add_argument(
        "--ratio",
        type=float,
        help="train compressed tables, so many times smaller, instead of full ones",
    )
    task_options.add_loss(train)
    log_options.add_details(train)
    task_options.add_training(train)
    checkpoints.add_resume(train)
    train.set_defaults(run=ranker_commands.train)

    update = subparsers.add_parser(
        "update", help="bring a trained ranker up to date by a later log: new items, new steps"
    )
    update_command.add_options(update)
    update.set_defaults(run=update_command.update)

    compress = subparsers.add_parser(
        "compress", help="compress what `train` trained to a .tflite file of a wanted size"
    )
    task_options.add_task(compress)
    compress.add_argument("model", type=Path, metavar="MODEL.keras")
    log_options.add_options(compress)
    compress.add_argument(
        "--new-items",
        choices=get_args(OutOfVocabulary),
        help="items that the model does not know: drop leaves their interactions out, share gives "
        "them the id that unknown items share, if the model has one, error (the default) stops",
    )
    compress.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.tflite")
    size = compress.add_mutually_exclusive_group(required=True)
    size.add_argument(
        "--max-bytes",
        type=ranker_commands.parse_bytes,
        metavar="BYTES",
        help="size of the file without its vocabulary, e.g. 250kB",
    )
    size.add_argument(
        "--ratio", type=float, help="how many times smaller than the model's float32 file"
    )
    compress.add_argument(
        "--max-minutes",
        type=ranker_commands.parse_minutes,
        metavar="MINUTES",
        help="about how long it may take: candidates that there is no time for are left out",
    )
    task_options.add_columns(compress)
    origins.add_model_version(compress)
    compress.add_argument("--save-model", type=Path, metavar="MODEL.keras", help="save that too")
    model_options.add_loading(compress)
    checkpoints.add_resume(compress)
    compress.set_defaults(run=ranker_commands.compress)

    sweep = subparsers.add_parser(
        "sweep", help="train many methods at many sizes on one file: a folder of runs to compare"
    )
    sweep_command.add_options(sweep)
    sweep.set_defaults(run=sweep_command.sweep)

    convert = subparsers.add_parser(
        "convert", help="convert a .keras model or a SavedModel to a .tflite file"
    )
    convert.add_argument("model", type=Path, metavar="MODEL")
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.tflite")
    convert.add_argument("-k", type=int, default=10, help="length of the ranked list (10)")
    convert.add_argument(
        "--weights",
        nargs="+",
        default=["int8"],
        metavar="KIND",
        help="int8 (the default), int8_per_table, int4, int2, float16 or float32, for all tables, "
        "or by patterns of their names, of which the first that fits counts: 'users/*=int4' "
        "'top_mlp*=float32' int8",
    )
    convert.add_argument(
        "--profile",
        choices=get_args(Profile),
        default="portable",
        help="runtimes that are to read the file: portable (the default) for TensorFlow Lite 2.8 "
        "and later, or litert for 2.18 and later, whose EMBEDDING_LOOKUP reads the tables",
    )
    smaller = convert.add_mutually_exclusive_group()
    smaller.add_argument(
        "--max-bytes",
        type=ranker_commands.parse_bytes,
        metavar="BYTES",
        help="put smaller tables into the model, without training, so that the file without its "
        "vocabulary takes at most so many bytes, e.g. 5MB",
    )
    smaller.add_argument("--ratio", type=float, help="the same, by how much smaller the tables are")
    convert.add_argument("--method", help="the layer to put in, e.g. LowRankEmbedding (the best)")
    convert.add_argument("--force", action="store_true", help="replace the output if it exists")
    convert.add_argument("--no-verify", action="store_true", help="do not run and compare the file")
    model_options.add_signatures(convert, "to convert", "all that take and give numbers")
    origins.add_model_version(convert)
    model_options.add_options(convert)
    convert.set_defaults(run=commands.convert)

    verify = subparsers.add_parser("verify", help="compare a .tflite file with its model")
    verify.add_argument("model", type=Path, metavar="MODEL")
    verify.add_argument("file", type=Path, metavar="MODEL.tflite")
    model_options.add_signatures(verify, "whose outputs to compare", "all of the file")
    model_options.add_options(verify)
    verify.set_defaults(run=commands.verify)

    inspect = subparsers.add_parser("inspect", help="show what a .tflite file holds")
    inspect.add_argument("file", type=Path, metavar="MODEL.tflite")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.add_argument(
        "--measure",
        action="store_true",
        help="run the file too: latency and peak memory with one and two threads",
    )
    inspect.add_argument(
        "--html", type=Path, metavar="REPORT.html", help="write a page with plots as well"
    )
    inspect.add_argument("--force", action="store_true", help="replace the page if it exists")
    inspect.set_defaults(run=commands.inspect)

    compare = subparsers.add_parser(
        "compare", help="show .tflite files side by side, and what their lists have in common"
    )
    compare_command.add_options(compare)
    compare.set_defaults(run=compare_command.compare)

    rank = subparsers.add_parser("rank", help="rank the catalogue with a .tflite file alone")
    rank_command.add_options(rank)
    rank.set_defaults(run=rank_command.rank)

    score = subparsers.add_parser(
        "score", help="predict clicks of rows, or classes of texts, with a .tflite file alone"
    )
    click_commands.add_score_options(score)
    score.set_defaults(run=click_commands.score)

    golden = subparsers.add_parser("golden", help="write what a .tflite file answers, for tests")
    golden.add_argument("file", type=Path, metavar="MODEL.tflite")
    golden.add_argument(
        "-o", "--output", type=Path, metavar="FILE.json", help="default: MODEL.golden.json"
    )
    golden.add_argument(
        "--check", action="store_true", help="compare with what was written, instead of writing"
    )
    golden.set_defaults(run=commands.golden)

    build_ops = subparsers.add_parser("build-ops", help="compile the fused C++ ops of training")
    build_ops.add_argument("--force", action="store_true", help="also if they are in the cache")
    build_ops.set_defaults(run=ops_commands.build_ops)

    doctor = subparsers.add_parser("doctor", help="show which ops training runs on, and why")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=ops_commands.doctor)
    for name in ("try", "train", "update", "compress", "sweep", "convert", "verify", "rank"):
        subparsers.choices[name].add_argument("--json", action="store_true", help="print JSON")
    for command in subparsers.choices.values():
        command.add_argument(
            "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=_VERBOSE
        )
        command.set_defaults(flags=_flags(command))
    return parser


def _flags(command: argparse.ArgumentParser) -> dict[str, str]:
    """What the options of a command are called, by what the functions behind it call them."""
    return {
        action.dest: action.option_strings[-1]
        for action in command._actions
        if action.option_strings and action.const is not False  # --no-time is no name of a time
    }


if __name__ == "__main__":
    import_path.forget_current_folder()  # which `python -m` puts first
    sys.exit(main())
