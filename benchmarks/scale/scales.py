"""Whether 8 bits gain from a better scale than the largest value's: mean squared errors of tables.

python -m benchmarks.scale.scales                        random tables
python -m benchmarks.scale.scales --model MODEL.keras    and those of rankers
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common import measure

ROWS, WIDTH = 20_000, 64
_LARGEST = 127
_SHARES = np.arange(0.5, 1.0, 0.02)
_ROUNDS = 3


def random_tables() -> Iterator[tuple[str, np.ndarray]]:
    """Rows of normal values, of norms that differ a hundredfold, and of heavy tails."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(ROWS, WIDTH))
    yield "normal", normal
    yield "normal, norms log-normal", normal * rng.lognormal(0, 1, (ROWS, 1))
    for degrees in (5, 3):
        yield f"Student's t, {degrees} degrees", rng.standard_t(degrees, (ROWS, WIDTH))


def trained_tables(paths: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """Tables of vectors in the embeddings of rankers."""
    if not paths:
        return
    import memcom_tf.models  # noqa: F401  registers the ranker
    from memcom_tf._keras import keras

    for path in paths:
        model = keras.models.load_model(path)
        for embedding in model.embeddings:
            for name, values in embedding.table_values().items():
                if values.shape[1] > 1:
                    yield f"{path.stem.rsplit('-', 1)[0]}, {name}", np.asarray(values, np.float64)


def squared_error(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Mean of each row `[rows, 1]`; values beyond the largest integer are clipped."""
    steps = np.divide(values, scales, out=np.zeros_like(values), where=scales > 0)
    stored = np.clip(np.rint(steps), -_LARGEST, _LARGEST) * scales
    return ((values - stored) ** 2).mean(axis=1, keepdims=True)


def least_squares(values: np.ndarray) -> np.ndarray:
    """The least error of each row: the best of many clips, then in turns with the integers."""
    largest = np.abs(values).max(axis=1, keepdims=True) / _LARGEST
    best = squared_error(values, largest)
    scales = largest
    for share in _SHARES:
        error = squared_error(values, share * largest)
        scales = np.where(error < best, share * largest, scales)
        best = np.minimum(best, error)
    for _ in range(_ROUNDS):
        steps = np.divide(values, scales, out=np.zeros_like(values), where=scales > 0)
        integers = np.clip(np.rint(steps), -_LARGEST, _LARGEST)
        squares = (integers**2).sum(axis=1, keepdims=True)
        products = (integers * values).sum(axis=1, keepdims=True)
        scales = np.divide(products, squares, out=scales.copy(), where=squares > 0)
        best = np.minimum(best, squared_error(values, scales))
    return best


def figures(values: np.ndarray) -> measure.Result:
    """Errors of other scales over those of the largest value's, and how far rows differ."""
    largest = np.abs(values).max(axis=1, keepdims=True) / _LARGEST
    own = squared_error(values, largest).mean()
    half = squared_error(values, largest.astype(np.float16).astype(np.float64)).mean()
    one = squared_error(values, np.full_like(largest, largest.max())).mean()
    norms = np.linalg.norm(values, axis=1)
    low, high = np.quantile(norms[norms > 0], [0.1, 0.9])
    ratios = {"least_squares": least_squares(values).mean(), "float16_scales": half, "one": one}
    found = {name: measure.digits(error / own) for name, error in ratios.items()}
    return {**found, "norms": measure.digits(high / low)}


def report(tables: measure.Result) -> str:
    """The table, in Markdown."""
    head = ("table", "least squares", "float16 scales", "one scale", "norms, 90 % over 10 %")
    rows = [
        (
            name,
            *(f"{found[key]:.3f}" for key in ("least_squares", "float16_scales")),
            f"{found['one']:.2f}",
            f"{found['norms']:.2f}",
        )
        for name, found in tables.items()
    ]
    return (
        "# Scales of 8 bits\n\n"
        "`python -m benchmarks.scale.scales`. Mean squared error over that of a "
        "float32 scale for each row, which takes the row's largest value to 127. Least squares is "
        f"the best of {len(_SHARES)} clips of each row, improved in turns with the integers. One "
        "scale for the table saves 4 bytes a row, scales of float16 would save 2.\n\n"
        + measure.table(head, rows)
    )


def main() -> None:
    """Measures every table."""
    options = measure.parser(__doc__.splitlines()[0], rounds=1)
    options.add_argument("--model", type=Path, action="append", default=[], metavar="MODEL.keras")
    parsed = measure.parse(options)
    # More tables are no other settings: what is published names each.
    parsed.published = not parsed.quick
    found = [*random_tables(), *trained_tables(parsed.model)]
    tables = {name: figures(np.asarray(values, np.float64)) for name, values in found}
    document = {"machine": measure.describe_machine(), "tables": tables}
    measure.publish("scales", parsed, document, report(tables))


if __name__ == "__main__":
    main()
