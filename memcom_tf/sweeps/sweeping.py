"""The runs of a sweep, one after the other: each is trained, converted, proved and tested."""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from memcom_tf.cluster import require_alone
from memcom_tf.converters import convert, origin_of
from memcom_tf.datasets import Interactions
from memcom_tf.errors import argument, invalid, message
from memcom_tf.evaluation import DocumentSplit, RowSplit, Split, leave_last_out
from memcom_tf.layers import METHODS
from memcom_tf.models import load_model, save_model
from memcom_tf.progress import counted, reporting
from memcom_tf.sweeps.clicks import Clicks
from memcom_tf.sweeps.rankers import Rankers
from memcom_tf.sweeps.runs import FULL, Planned, Row, Runs
from memcom_tf.sweeps.texts import Texts
from memcom_tf.sweeps.work import Made, Work
from memcom_tf.training import ClickSettings, TextSettings, TrainingSettings

RANKER_WIDTH, CLICK_WIDTH, TEXT_WIDTH = 64, 16, 64
Data = Interactions | Split | RowSplit | DocumentSplit
Settings = TrainingSettings | ClickSettings | TextSettings
Wanted = TypeVar("Wanted", TrainingSettings, ClickSettings, TextSettings)
COMPRESS = "compress"
"""Beside the methods: the full model of the seed, compressed by `memcom_tf.compress`."""


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep.

    Attributes:
        folder: Where their models and files are.
        metric: What they were judged by.
        rows: A row for each run that was asked for: its key, and figures or an "error".
    """

    folder: Path
    metric: str
    rows: Sequence[Row]

    @property
    def failed(self) -> list[Row]:
        """The rows of runs that failed."""
        return [row for row in self.rows if "error" in row]

    def __repr__(self) -> str:
        return f"<Sweep: {len(self.rows)} runs in {self.folder}, {len(self.failed)} failed>"


def sweep(
    data: Data,
    folder: str | os.PathLike[str],
    *,
    methods: Sequence[str],
    ratios: Sequence[float],
    seeds: Sequence[int] = (0,),
    width: int | None = None,
    settings: Settings | None = None,
    interaction: str = "deepfm",
    replace: bool = False,
    verbose: int = 0,
    report: Callable[[str], object] = lambda line: None,
) -> Sweep:
    """Trains models of many methods and sizes, and keeps what came of each in a folder.

    For each seed there is first a model of full tables in float32, which the ratios are of: a run
    at ratio 16 may take a sixteenth of the bytes of its file. Each model is converted, its file is
    proved, and judged by itself on the data for test. A run that is in the folder already is not
    repeated, so that a sweep that was stopped goes on where it was; one that failed is.

    `memcom_tf.compare([folder])` shows the files side by side.

    Args:
        data: Of rankers `Interactions`, which are split by `leave_last_out`, or a split; of click
            models what `split_rows` returned, of text classifiers what `split_documents` did.
        folder: Where the runs are kept; its own folder must exist.
        methods: Names of layers, as in `memcom_tf.METHODS`, and "compress", which compresses the
            full model of the seed.
        ratios: How many times smaller than that of the full model a file is to be.
        seeds: Seeds of the trainings.
        width: Width of an embedding; None takes 64, of click models 16.
        settings: How models are trained, but for the seed: `TrainingSettings`, `ClickSettings` or
            `TextSettings`; None takes the defaults. `epochs` are those of compressed models, too.
        interaction: Of click models, as of `memcom_tf.models.ClickModel`.
        replace: Whether runs of other data or settings are deleted from the folder.
        verbose: As of `keras.Model.fit`.
        report: Called with lines on what is done.

    Returns:
        A row for each run: bytes, metrics, seconds and files, or why it failed.

    Raises:
        ValueError: If a method is unknown, a ratio is below 1, something is given twice or not at
            all, the folder has runs of other data or settings, or a full model cannot be trained.
        TypeError: If the settings are those of other models.
        OSError: If the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> from memcom_tf.datasets import made_up_dishes
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = sweep(
        ...         made_up_dishes(num_users=60),
        ...         f"{folder}/runs",
        ...         methods=["HashedEmbedding"],
        ...         ratios=[4],
        ...         width=16,
        ...         settings=TrainingSettings(epochs=1),
        ...     )
        >>> [row["file"] for row in found.rows]
        ['full-seed0.tflite', 'ratio4-HashedEmbedding-seed0.tflite']
    """
    require_alone("A sweep")
    _check(methods, ratios, seeds)
    work = _work(data, width, settings, interaction, verbose, report)
    runs = Runs(folder, *work.described, replace=replace)
    work.keep_examples(runs.folder)
    plans = _plans(methods, ratios, seeds)
    with reporting(report):
        for number, plan in enumerate(counted(plans, "run"), start=1):
            if runs.finished(plan):
                report(f"run {number} of {len(plans)}: {plan}: done before")
                continue
            report(f"run {number} of {len(plans)}: {plan}")
            _run(work, runs, plan, report)
    return Sweep(runs.folder, work.metric, tuple(runs.row(plan) for plan in plans))


def _work(
    data: Data,
    width: int | None,
    settings: Settings | None,
    interaction: str,
    verbose: int,
    report: Callable[[str], object],
) -> Work:
    """What makes the models of the data."""
    if isinstance(data, RowSplit):
        clicks = _settings(settings, ClickSettings)
        return Clicks(data, width or CLICK_WIDTH, clicks, interaction, report=report)
    if isinstance(data, DocumentSplit):
        return Texts(data, width or TEXT_WIDTH, _settings(settings, TextSettings), report)
    of_rankers = _settings(settings, TrainingSettings)
    if isinstance(data, Interactions):
        data = leave_last_out(data, history_length=50)
    return Rankers(data, width or RANKER_WIDTH, of_rankers, verbose, report)


def _settings(given: Settings | None, wanted: type[Wanted]) -> Wanted:
    """The settings, which must be those of the data, or the defaults."""
    found = wanted() if given is None else given
    if not isinstance(found, wanted):
        raise TypeError(
            message(
                f"`settings` must be {wanted.__name__} for such data.",
                "",
                settings=type(found).__name__,
            )
        )
    return found


def _run(work: Work, runs: Runs, plan: Planned, report: Callable[[str], object]) -> None:
    """Makes a run and keeps it, or why it failed; without the full one there are no others."""
    begun = time.monotonic()
    try:
        figures = _figures(runs, plan, work, _made(work, runs, plan))
    except Exception as error:  # of whatever library: the other runs go on
        if plan.method == FULL:
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        runs.delete_files(plan)
        runs.keep(plan, {"error": said})
        report(f"{plan} failed: {said}")
        return
    finally:
        gc.collect()  # TensorFlow's graphs hold each other
    runs.keep(plan, {**figures, "seconds": round(time.monotonic() - begun, 1)})
    report(f"{plan}: {figures['bytes']:,} bytes, {work.metric} {figures[work.metric]:.4f}")


def _made(work: Work, runs: Runs, plan: Planned) -> Made:
    if plan.ratio is None:
        return work.full(plan.seed)
    full = Planned(FULL, None, plan.seed)
    limit = int(runs.row(full)["bytes"] / plan.ratio)
    if plan.method != COMPRESS:
        return work.of_method(plan.method, plan.seed, limit, plan.ratio)
    model = load_model(runs.path(full, ".keras"), compile=False)
    return work.compressed(model, plan.seed, limit)


def _figures(runs: Runs, plan: Planned, work: Work, made: Made) -> Row:
    """Saves the model and its file, which is proved, and says what the file is worth."""
    model, path = runs.path(plan, ".keras"), runs.path(plan, ".tflite")
    save_model(made.model, model)
    conversion = convert(
        made.model,
        weights="float32" if plan.method == FULL else "int8",
        origin=origin_of(model, "sweep", plan.key),
        **made.convert,
    )
    assert conversion.verification is not None
    if not conversion.verification.passed:
        raise invalid(
            "The file must be the model, within the bounds of the proof.",
            f"`memcom convert {model}` shows what differs.",
        )
    conversion.save(path, overwrite=True)
    return {
        "model": model.name,
        "file": path.name,
        "chosen": made.chosen,
        "bytes": int(conversion.report["graph_bytes"]),
        "file_bytes": int(conversion.report["file_bytes"]),
        "validation": made.validation,
        **work.metrics(path, made),
    }


def _plans(methods: Sequence[str], ratios: Sequence[float], seeds: Sequence[int]) -> list[Planned]:
    """The full model of each seed, and behind it what is compared with it."""
    found = []
    for seed in seeds:
        found.append(Planned(FULL, None, seed))
        found += [Planned(*pair, seed) for pair in itertools.product(methods, map(float, ratios))]
    return found


def _check(methods: Sequence[str], ratios: Sequence[float], seeds: Sequence[int]) -> None:
    for name, values in (("methods", methods), ("ratios", ratios), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise invalid(
                f"{argument(name)} must have one value or more, each once.", **{name: list(values)}
            )
    for method in methods:
        if method != COMPRESS and method not in METHODS:
            raise invalid(
                f"{argument('methods')} must be layers, or {COMPRESS}.",
                f"There are {', '.join(METHODS)}.",
                method=method,
            )
    for ratio in ratios:
        if not ratio >= 1:
            raise invalid(f"{argument('ratios')} must be 1 or more.", ratio=ratio)
