"""A step of training on rows of many fields, each with a table, ours against others.

python -m benchmarks.training.fields                     the published figures, half an hour
python -m benchmarks.training.fields --quick --json OUT  a first idea, five minutes
"""

from __future__ import annotations

from benchmarks.common import measure
from benchmarks.common.workload import DISTRIBUTIONS
from benchmarks.training.fields_case import BATCH_SIZE, CASES, FIELDS, HIDDEN_UNITS, OUTPUT_DIM

INPUT_DIM = 1_000_000
QUICK_INPUT_DIM = 100_000
OURS, FIXED = "ours", "no_embedding"
STEPS = {"warm_up": 10, "least": 12, "most": 120, "seconds": 4.0}
QUICK_STEPS = {"warm_up": 3, "least": 4, "most": 40, "seconds": 0.5}


def process(distribution: str, case: str) -> str:
    """The name under which `figures` finds the rounds of a case."""
    return f"{distribution}_{case}"


def figures(rounds: measure.Rounds) -> measure.Result:
    """Milliseconds and ratios by distribution of the ids and case."""
    milliseconds: dict[str, dict[str, dict[str, float]]] = {}
    ratios: dict[str, dict[str, dict[str, float]]] = {}
    for distribution in DISTRIBUTIONS:
        times = {
            case: [result["ms"] for result in rounds[process(distribution, case)]]
            for case in CASES
            if process(distribution, case) in rounds
        }
        milliseconds[distribution] = {case: measure.summary(t) for case, t in times.items()}
        ratios[distribution] = {
            case: measure.ratio(t, times[OURS])
            for case, t in times.items()
            if OURS in times and case not in (OURS, FIXED)
        }
    return {"milliseconds": milliseconds, "times_ours": ratios, "all_rounds": rounds}


def report(document: measure.Result) -> str:
    """The document in Markdown."""
    settings = document["settings"]
    text = (
        "# A step of training on fields\n\n"
        f"`python -m benchmarks.training.fields`. `fit` on rows [{BATCH_SIZE}, {FIELDS}] of int32 "
        f"ids, {settings['input_dim']:,} of each field: a vector of {OUTPUT_DIM} for each, joined, "
        f"`Dense({HIDDEN_UNITS})`, the probability of a click. Each case in a process of its own; "
        "medians over rounds of the median step, (smallest-largest round). A ratio is taken within "
        "a round. The compressed tables have a shared row for 16 ids; where nothing else is said "
        "the optimizer is LazyAdam. The one table of all fields has as many rows as theirs "
        "together: it tells what looking all fields up in one operation saves.\n"
    )
    for distribution in DISTRIBUTIONS:
        rows = []
        for name, found in document["milliseconds"][distribution].items():
            ratio = document["times_ours"][distribution].get(name)
            rows.append(
                (CASES[name].label, measure.spread(found), measure.spread(ratio) if ratio else "-")
            )
        text += f"\n## Ids {distribution} distributed\n\n"
        text += measure.table(("trained by", "ms a step", "times ours"), rows)
    return text


def main() -> None:
    """Measures, prints and writes."""
    parser = measure.parser(__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    options = measure.parse(parser)
    machine = measure.describe_machine()
    settings = {
        "input_dim": QUICK_INPUT_DIM if options.quick else INPUT_DIM,
        "steps": QUICK_STEPS if options.quick else STEPS,
    }
    cases = {process(d, case): (d, case) for case in options.cases for d in DISTRIBUTIONS}

    def run_case(name: str) -> measure.Result:
        distribution, case = cases[name]
        arguments = {"case": case, "distribution": distribution, **settings}
        return measure.run_worker(
            "benchmarks.training.fields_case", arguments, CASES[case].environment
        )

    rounds = measure.in_rounds(list(cases), options.rounds, run_case)
    document = {**figures(rounds), "settings": settings, "machine": machine}
    measure.publish("training_fields", options, document, report(document))


if __name__ == "__main__":
    main()
