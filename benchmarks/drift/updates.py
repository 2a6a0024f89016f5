"""A ranker of news day after day: updated, trained anew, or left as it is.

    python -m benchmarks.drift.updates --data clicks.npz
    python -m benchmarks.drift.updates --data clicks.npz --window 3 --json OUT.jsonl
    python -m benchmarks.drift.updates --data clicks.npz --quick --json OUT.jsonl

FILE is a .npz file with the integer vectors `session`, `item` and `time`, in seconds. Every evening
a ranker gets the clicks of the day, or of the last days, and the next day tests it. Resumable: a
finished run is a line of JSON, and is not repeated. Every run ends by writing the report (.md)
beside the JSON.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.machine import describe
from benchmarks.common.measure import RESULTS, table
from benchmarks.common.runs import Row, Runs
from memcom_tf.converters import convert
from memcom_tf.datasets import Interactions
from memcom_tf.evaluation import Examples, Split, leave_last_out, rank_examples
from memcom_tf.models import NextItemRanker
from memcom_tf.training import TrainingSettings, train_ranker, update_ranker
from memcom_tf.training.updating import share_of_steps
from memcom_tf.vocabulary.items import left_aligned

NEVER, UPDATED, ANEW = "left as it is", "`update_ranker`", "trained anew"
WAYS = NEVER, UPDATED, ANEW
_DAY = 24 * 60 * 60
_LENGTH, _WIDTH, _K = 10, 64, 10
_STEPS, _QUICK_STEPS = 2000, 40
_TESTED, _QUICK_TESTED = 5000, 200
_DAYS, _QUICK_DAYS = 10, 5
_QUICK_SHARE = 0.02


@dataclass(frozen=True)
class Clicks:
    """Clicks in order of time.

    Attributes:
        session, item, time: `[n]`.
        day: `[n]` days of 24 hours since the first click.
    """

    session: np.ndarray
    item: np.ndarray
    time: np.ndarray
    day: np.ndarray

    @classmethod
    def load(cls, path: Path, share: float) -> Clicks:
        """Reads the sessions of a file, or a share of them, drawn at random."""
        with np.load(path) as file:
            session, item, time = (file[name] for name in ("session", "item", "time"))
        _, session = np.unique(session, return_inverse=True)
        taken = (np.random.default_rng(0).random(session.max() + 1) < share)[session]
        kept = np.flatnonzero(taken)[np.argsort(time[taken], kind="stable")]
        day = (time[kept] - time.min()) // _DAY
        return cls(session[kept], item[kept].astype(np.int64), time[kept], day)

    def log(self, evening: int, window: int) -> Interactions:
        """The clicks of the last days."""
        chosen = (self.day > evening - window) & (self.day <= evening)
        return Interactions(self.session[chosen], self.item[chosen], self.time[chosen])

    def tested(self, day: int, most: int) -> Iterator[tuple[np.ndarray, int]]:
        """What was clicked before in a session of the day, and the click to predict."""
        chosen = np.flatnonzero(self.day == day)
        chosen = chosen[np.argsort(self.session[chosen], kind="stable")]
        session, item = self.session[chosen], self.item[chosen]
        starts = np.searchsorted(session, session)
        later = np.flatnonzero(np.arange(len(session)) > starts)
        drawn = np.random.default_rng(day).permutation(later)[:most]
        for place in np.sort(drawn):
            yield item[max(starts[place], place - _LENGTH) : place], int(item[place])


@dataclass(frozen=True)
class Case:
    """A table, how long to train, and what is tested."""

    clicks: Clicks
    ratio: float | None
    seed: int
    steps: int
    most: int
    window: int

    def split(self, evening: int) -> Split:
        """What a ranker is trained on in an evening."""
        return leave_last_out(self.clicks.log(evening, self.window), history_length=_LENGTH)

    def anew(self, evening: int) -> NextItemRanker:
        """A ranker that starts from nothing."""
        settings = TrainingSettings(steps=self.steps, seed=self.seed)
        split = self.split(evening)
        return train_ranker(split, width=_WIDTH, ratio=self.ratio, settings=settings).model

    def updated(self, model: NextItemRanker, evening: int) -> tuple[Any, dict[str, Any]]:
        """The ranker of the evening before, brought up to date."""
        log = self.clicks.log(evening, self.window)
        new = float((~np.isin(log.item, list(model.vocabulary))).mean())
        steps = max(1, round(share_of_steps(new) * self.steps))
        settings = TrainingSettings(steps=steps, seed=self.seed)
        found = update_ranker(model, log, settings=settings, forget=True)
        return found.model, found.record

    def gains(self, model: NextItemRanker, day: int) -> dict[str, float]:
        """nDCG@10 over all clicks that are predicted; an article without an id gains nothing."""
        ids = _ids_by_item(model)
        rows = list(self.clicks.tested(day, self.most))
        targets = np.array([ids.get(target, 0) for _, target in rows], np.int32)
        flat = np.array([ids.get(item, 0) for history, _ in rows for item in history], np.int32)
        row_of = np.repeat(np.arange(len(rows)), [len(history) for history, _ in rows])
        stop = np.cumsum(np.bincount(row_of[flat > 0], minlength=len(rows)))
        start = np.concatenate([[0], stop[:-1]])
        history = left_aligned(flat[flat > 0], start, stop, _LENGTH)
        new = ~(history == targets[:, None]).any(1)
        asked = np.flatnonzero((targets > 0) & new)
        ranks = np.full(len(rows), np.inf)
        if len(asked):
            examples = Examples(history[asked], targets[asked], asked)
            ranks[asked] = rank_examples(model.predict_on_batch, examples)
        gains = np.where(ranks <= _K, 1 / np.log2(1 + ranks), 0.0)
        return {
            "ndcg": float(gains.mean()),
            "ndcg_known": float(gains.sum() / max(1, (targets > 0).sum())),
            "known": float((targets > 0).mean()),
        }


def _ids_by_item(model: NextItemRanker) -> dict[int, int]:
    items = list(model.vocabulary)
    return dict(zip(items, model.vocabulary.ids(items).tolist(), strict=True))


def run(case: Case, way: str, days: int) -> Row:
    """One ranker over all evenings, tested on every next day."""
    evening = case.window - 1
    model: Any = case.anew(evening)
    found = []
    record: dict[str, Any] = {}
    spent = 0.0
    for day in range(case.window, days):
        if day > case.window and way != NEVER:
            begin = time.process_time()
            if way == ANEW:
                model = case.anew(day - 1)
            else:
                model, record = case.updated(model, day - 1)
            spent += time.process_time() - begin
        size = len(convert(model, k=_K, verify=False).content)
        row = {"day": day, "bytes": size, **case.gains(model, day)}
        changes = {name: record[name] for name in ("new", "gone", "refreshed") if record}
        found.append({**row, **changes})
    evenings = max(1, days - case.window - 1)
    return {"days": found, "cpu_seconds_an_evening": spent / evenings}


def report(rows: list[Row], facts: dict[str, Any]) -> str:
    """The runs in Markdown."""
    head = "table", "every evening", f"nDCG@{_K}", "of articles with an id", "their share, %"
    sizes = "bytes of the file, first day", "last day", "refreshed", "CPU seconds an evening"
    lines, by_day = [], []
    ratios = sorted({row["ratio"] for row in rows}, key=lambda ratio: ratio or 0)
    for ratio, way in itertools.product(ratios, WAYS):
        of = [row for row in rows if (row["ratio"], row["way"]) == (ratio, way)]
        if not of:
            continue
        days = [row["days"] for row in of]
        name = "full" if ratio is None else f"MEmCom, {ratio:g}x"
        refreshed = statistics.mean(sum(d.get("refreshed", 0) for d in run) for run in days)
        lines.append(
            (
                name,
                way,
                *(f"{_mean(days, key):.4f}" for key in ("ndcg", "ndcg_known")),
                f"{100 * _mean(days, 'known'):.1f}",
                *(f"{statistics.mean(run[end]['bytes'] for run in days):,.0f}" for end in (0, -1)),
                f"{refreshed:g}" if way == UPDATED else "-",
                f"{statistics.mean(row['cpu_seconds_an_evening'] for row in of):.0f}",
            )
        )
        each = [f"{statistics.mean(d['ndcg'] for d in day):.4f}" for day in zip(*days, strict=True)]
        by_day.append((name, way, *each))
    tested = [str(day["day"] + 1) for day in rows[0]["days"]]
    last = f"the last {facts['window']} days" if facts["window"] > 1 else "the day"
    seeds = ", ".join(map(str, sorted({row["seed"] for row in rows})))
    machine = ", ".join(f"{key} {value}" for key, value in describe().items())
    return (
        f"# News day after day: {facts['data']}\n\n"
        f"`python -m benchmarks.drift.updates`. Every evening a ranker gets the clicks of {last}; "
        f"the next day tests it: {facts['most']:,} clicks after the first of their session, drawn "
        "at random, the clicks before in it are the history. All articles with an id are ranked, "
        "and an article without one gains nothing. The first day that is tested is the same for "
        f"all. Anew: {facts['steps']:,} steps of the recipe; an update: the part of them that is "
        "its default, by what is new, with `forget`, so that articles that are gone leave their "
        "ids to new ones. "
        f"Means over days and seeds ({seeds}); CPU seconds with the split of the log. The size is "
        "that of the whole file.\n\n"
        f"{table((*head, *sizes), lines, 2)}\n## nDCG@{_K} by day\n\n"
        f"{table(('table', 'every evening', *tested), by_day, 2)}\n{machine}\n"
    )


def _mean(runs: list[list[Row]], key: str) -> float:
    return statistics.mean(day[key] for run in runs for day in run)


def main() -> None:
    """Runs what is missing, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a .npz file of clicks")
    parser.add_argument("--json", type=Path, help="default: results/updates_DATA.jsonl")
    parser.add_argument(
        "--ratios", type=float, nargs="+", default=[1, 16], help="1 is a full table"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--window", type=int, default=1, help="days of clicks that a ranker is trained on (1)"
    )
    parser.add_argument("--quick", action="store_true", help="few clicks of five days, few steps")
    options = parser.parse_args()
    share, steps, most, days = 1.0, _STEPS, _TESTED, _DAYS
    if options.quick:
        share, steps, most, days = _QUICK_SHARE, _QUICK_STEPS, _QUICK_TESTED, _QUICK_DAYS
        options.seeds = options.seeds[:1]
    clicks = Clicks.load(options.data, share)
    path = options.json or RESULTS / f"updates_{options.data.stem}.jsonl"
    facts = {"data": options.data.stem, "steps": steps, "number_of_days": days}
    facts["window"] = options.window
    kept = Runs(path, facts)
    for seed, ratio, way in itertools.product(options.seeds, options.ratios, WAYS):
        ratio = None if ratio == 1 else ratio
        key = {"ratio": ratio, "way": way, "seed": seed}
        if not kept.has(key):
            row = kept.keep(
                {**key, **run(Case(clicks, ratio, seed, steps, most, options.window), way, days)}
            )
            print(key, f"{_mean([row['days']], 'ndcg'):.4f}", flush=True)
    text = report(kept.rows, {**facts, "most": most})
    path.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
