"""The coin of `memcom_tf.evaluation.hold_out`, of a log of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

TRAINING, VALIDATION, TEST = 0, 1, 2
_SEED = 0
"""That of `hold_out`."""
_BLOCK = 2**20


class Coin:
    """Whether each interaction of a log, where it is held out, is for validation or for test.

    It is that of `hold_out`, a bit for each interaction in a file, of which the system keeps in
    memory what it has room for.

    Args:
        folder: Where the file is.
        rows: How many interactions the log has.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     coin = Coin(Path(folder), 9)
        ...     coin.parts(np.arange(9), np.arange(9) > 3).tolist()
        [0, 0, 0, 0, 2, 2, 2, 2, 2]
    """

    def __init__(self, folder: Path, rows: int) -> None:
        path = folder / "coin"
        rng = np.random.default_rng(_SEED)
        with path.open("wb") as file:
            for first in range(0, rows, _BLOCK):
                drawn = rng.random(min(_BLOCK, rows - first))
                file.write(np.packbits(drawn < 0.5).tobytes())
        self._bits = np.memmap(path, np.uint8, "r")

    def parts(
        self, rows: npt.NDArray[np.int64], held_out: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int8]:
        """What interactions are for: `TRAINING`, `VALIDATION` or `TEST`.

        Args:
            rows: [n] their places in the log, from 0.
            held_out: [n] whether the log says that they are held out.
        """
        for_validation = self._bits[rows >> 3] >> (7 - (rows & 7)).astype(np.uint8) & 1
        return np.where(held_out, np.where(for_validation, VALIDATION, TEST), TRAINING).astype(
            np.int8
        )
