"""Mutants of the files of random models: how many of them `verify` finds, by kind.

python -m tests.mutations --count 200 --seed 0 --jobs 2 --json OUT    continues what OUT holds
"""

from __future__ import annotations

import collections
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from memcom_tf.converters import CompressedModelFile, convert, verify
from memcom_tf.models import NextItemRanker
from tests.batches import Batches
from tests.contract.methods import CASES, INPUT_DIM, fill
from tests.mutants import mutants
from tests.random_models import converted

CAUGHT, EQUIVALENT, SAME, SURVIVED = "caught", "equivalent", "same answers", "survived"
"""Refused or not proved; changed where nothing reads; proved, and no answer to drawn inputs
differs; proved, and some answer does."""
_SAMPLES = 64


def ranker(seed):
    """A ranker of one of our methods, and its conversion."""
    rng = np.random.default_rng(seed)
    layer = fill(CASES[rng.integers(len(CASES))].layer())
    model = NextItemRanker(layer, history_length=5)
    model.build((None, 5))
    for embedding in model.embeddings[1:]:
        for variable in embedding.trainable_variables:
            variable.assign(rng.normal(0.5, 0.2, variable.shape))
    weights = ("int8", "int4", "int2")[rng.integers(3)]
    profile = ("portable", "litert")[rng.integers(2)]
    return model, convert(model, k=5, weights=weights, profile=profile)


def answers_of(seed):
    """A model, its conversion, and signatures with inputs that are drawn for it."""
    if seed % 5:
        generator, model, conversion = converted(seed)
        batches = [generator.batch(_SAMPLES, number) for number in range(4)]
        return model, conversion, [("serving_default", batch) for batch in batches]
    model, conversion = ranker(seed)
    rng = np.random.default_rng(seed)
    histories = [{"history": rng.integers(1, INPUT_DIM, (1, 5)).astype("i4")} for _ in range(20)]
    ids = {"ids": np.arange(INPUT_DIM, dtype=np.int32)}
    return model, conversion, [("embed", ids), *(("rank", history) for history in histories)]


def record(seed):
    """What became of the mutants of a model; every fifth is a ranker."""
    try:
        model, conversion, inputs = answers_of(seed)
    except ValueError as error:
        return {"outcome": f"not converted: {error}"[:300]}
    if not conversion.verification.passed:
        return {"outcome": "not proved"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.tflite"
        conversion.save(path)
        if not verify(model, path).passed:
            raise AssertionError("the file as it was converted is not proved")
        found = []
        for number, mutant in enumerate(mutants(conversion.content, seed)):
            changed = Path(folder) / f"{number}.tflite"
            changed.write_bytes(mutant.content)
            result = _result(model, path, changed, mutant, inputs)
            found.append({"kind": mutant.kind, "place": mutant.place, "result": result})
    left = [mutant for mutant in found if mutant["result"] in (SAME, SURVIVED)]
    outcome = f"{left[0]['result']}: {left[0]['kind']}, {left[0]['place']}" if left else "equal"
    return {"outcome": outcome, "mutants": found}


def _result(model, path, changed, mutant, inputs):
    if mutant.is_equivalent:
        return EQUIVALENT
    try:
        if not verify(model, changed).passed:
            return CAUGHT
    except ValueError:
        return CAUGHT
    files = [CompressedModelFile(each) for each in (path, changed)]
    return SAME if all(_same(files, *one) for one in inputs) else SURVIVED


def _same(files, signature, inputs):
    """Whether files answer alike, to the bit: a hint, no proof."""
    taken = files[0].signatures[signature]["inputs"]
    inputs = {name: x for name, x in inputs.items() if name in taken}
    try:
        one, two = (file.run(signature, **inputs) for file in files)
    except ValueError:
        return False
    return all(np.array_equal(one[name], two[name]) for name in one)


class Mutations(Batches):
    """The command line, with a table of kinds."""

    def summary(self, records):
        """Prints what became of the mutants of each kind."""
        counts = collections.defaultdict(collections.Counter)
        for mutant in (m for one in records for m in one.get("mutants", [])):
            counts[mutant["kind"]][mutant["result"]] += 1
        names = (CAUGHT, EQUIVALENT, SAME, SURVIVED)
        for kind, count in [
            *sorted(counts.items()),
            ("all", sum(counts.values(), collections.Counter())),
        ]:
            print(f"{kind:28s}", *(f"{name} {count[name]:5d}" for name in names), sep="  ")


if __name__ == "__main__":
    sys.exit(Mutations("tests.mutations", record).main(__doc__.splitlines()[0]))
