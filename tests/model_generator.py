"""Random Keras models by number: what the layers of Keras and ours can be put together to."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from memcom_tf import FullEmbedding
from memcom_tf._keras import keras
from tests.contract.methods import CASES

layers = keras.layers
_NAMES = set(dir(keras.activations)) - {"deserialize", "get", "serialize", "glu", "threshold"}
ACTIVATIONS = sorted(name for name in _NAMES if not name.startswith("_"))
MERGES = ["Add", "Multiply", "Average", "Maximum", "Minimum"]
SPELLINGS = {
    "matmul": lambda x, table: tf.matmul(x, table, transpose_b=True),
    "transpose": lambda x, table: tf.matmul(x, tf.transpose(table)),
    "from the left": lambda x, table: tf.transpose(tf.matmul(table, x, transpose_b=True)),
    "rank 3": lambda x, table: tf.matmul(x[:, None], table, transpose_b=True)[:, 0],
    "einsum": lambda x, table: tf.einsum("bd,nd->bn", x, table),
    "einsum of rank 3": lambda x, table: tf.einsum("bld,nd->bln", x[:, None], table)[:, 0],
    "tensordot": lambda x, table: tf.tensordot(x, table, [[1], [1]]),
    "sum": lambda x, table: tf.reduce_sum(x[:, None] * table[None], axis=-1),
}
"""Ways to write the scores `[b, n]` of all rows of a table `[n, d]` for queries `[b, d]`."""


class Positions(layers.Layer):
    """Adds a trained vector for each place of a sequence."""

    def __init__(self, places, width):
        super().__init__()
        self.places = layers.Embedding(places, width)
        self.places.build(None)

    def call(self, x):
        return x + self.places(tf.range(tf.shape(x)[1]))

    def compute_output_shape(self, shape):
        return shape


OF_THE_TRADE = 10_000
"""Numbers from here on are of models as most people make them; those below of any."""


class Generator:
    """Draws a model: inputs, tables, what is done to their vectors, and heads.

    Attributes:
        rng: What draws.
        samples: For each input by name, a function of a generator and a count that draws values
            which the model is made for.
    """

    def __init__(self, seed):
        self.seed, self.rng = seed, np.random.default_rng(seed)

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, share):
        return self.rng.random() < share

    def size(self, low, high):
        return int(self.rng.integers(low, high))

    def model(self):
        """The model, with every weight a value of its own."""
        self.inputs, self.samples, self.known, self.once_filled = [], {}, [], []
        model = self.of_the_trade() if self.seed >= OF_THE_TRADE else self.of_any_kind()
        for weight in model.weights:
            self.fill(weight)
        for change in self.once_filled:
            change()
        return model

    def of_any_kind(self):
        """What the layers of Keras and ours can be put together to."""
        width = self.size(1, 40)
        vectors = [self.vector(width) for _ in range(self.size(1, 5))]
        x = self.joined(vectors)
        for _ in range(self.size(0, 4)):
            x = self.hidden(x)
        return keras.Model(self.inputs, self.outputs(x, vectors))

    def of_the_trade(self):
        """Ids, masked histories and numbers, and a tower of Dense layers above."""
        width, vectors = self.size(4, 40), []
        for _ in range(self.size(1, 4)):
            rows = self.size(20, 3000)
            shape = self.one_of((), (self.size(2, 12),), (self.size(2, 12),), (None,))
            table = layers.Embedding(rows, width, mask_zero=self.chance(0.8))
            x = table(self.given(shape, rows, "int32"))
            vectors.append(self.pooled(x) if shape else x)
        if self.chance(0.4):
            vectors.append(self.numbers(width))
        x = layers.Concatenate()(vectors) if len(vectors) > 1 else vectors[0]
        for _ in range(self.size(1, 4)):
            activation = self.one_of("relu", "relu", "relu6", "leaky_relu", "selu", "tanh")
            x = layers.Dense(self.size(4, 150), activation=activation)(x)
            if self.chance(0.3):
                x = self.one_of(layers.BatchNormalization, layers.LayerNormalization)()(x)
        kind = self.one_of("sigmoid", None, "softmax")
        units = self.size(2, 500) if kind == "softmax" else 1
        return keras.Model(self.inputs, layers.Dense(units, activation=kind)(x))

    def batch(self, count=16, seed=0):
        """Values for every input by name, of which the first row is empty histories."""
        return {
            name: draw(np.random.default_rng([seed, place]), count)
            for place, (name, draw) in enumerate(self.samples.items())
        }

    def fill(self, weight):
        name = getattr(weight, "path", weight.name)
        if "seed" in name or "float" not in str(weight.dtype) or not weight.shape:
            return
        values = self.rng.normal(0.05, 0.4, weight.shape)
        if len(weight.shape) > 1 and "embed" not in name:
            values /= 0.4 * np.sqrt(np.prod(weight.shape[:-1]))
        weight.assign(np.abs(values) + 0.1 if "variance" in name else values)

    # Inputs.

    def input(self, shape, dtype, draw, **kwargs):
        name = f"in_{len(self.inputs)}"
        self.inputs.append(keras.Input(shape, dtype=dtype, name=name, **kwargs))
        self.samples[name] = draw
        return self.inputs[-1]

    def given(self, shape, rows, dtype):
        """Ids as they are; of a history some are short, and one is empty."""

        def draw(rng, count):
            sizes = [7 if size is None else size for size in shape]
            ids = rng.integers(0, rows, [count, *sizes])
            if sizes:
                ids[0] = 0
                ids[1, sizes[0] // 2 :] = 0
            return ids.astype(dtype)

        return self.input(shape, dtype, draw)

    def ids(self, shape):
        """Ids from inputs, perhaps by arithmetic, and how many rows a table of them has."""
        dtype = self.one_of("int32", "int32", "int64")
        how = self.one_of("given", "given", "given", "shifted", "divided", "modulo", "hours")
        rows = self.size(20, 3000)
        if how == "shifted":
            return self.given(shape, rows - 1, dtype) + 1, rows
        if how == "divided":
            step = self.size(2, 50)
            return self.given(shape, rows * step, dtype) // step, rows
        if how == "modulo":
            return self.given(shape, 2**20, dtype) % rows, rows
        if how == "hours" and shape != (None,):
            return self.given(shape, 7, dtype) * 24 + self.given(shape, 24, dtype), 7 * 24
        return self.given(shape, rows, dtype), rows

    def table(self, rows, width):
        """A layer that looks up in a table."""
        kind = self.one_of("plain", "plain", "masked", "method", "method", "equal")
        same = [table for table, size in self.known if size == rows and _is_plain(table)]
        if kind == "equal" and same:
            table = layers.Embedding(rows, width)
            self.once_filled.append(lambda: table.set_weights(same[0].get_weights()))
        elif kind == "method":
            table = self.method(rows, width)
        else:
            table = layers.Embedding(rows, width, mask_zero=kind == "masked")
        self.known.append((table, rows))
        return table

    def method(self, rows, width, **kwargs):
        case = self.one_of(*CASES)
        arguments = {**case.variant, **kwargs}
        ratio = 1 if case.method.size_argument is None else self.one_of(2, 3)
        try:
            return case.method.for_ratio(rows, width, ratio=ratio, **arguments)
        except ValueError:  # a table so small has no such ratio
            return FullEmbedding(rows, width, **kwargs)

    def looked_up(self, shape, width):
        if self.known and self.chance(0.4):
            table, rows = self.one_of(*self.known)
            return table(self.given(shape, rows, self.one_of("int32", "int64")))
        ids, rows = self.ids(shape)
        return self.table(rows, width)(ids)

    # Vectors.

    def vector(self, width):
        """`[b, width]` of one id, of many, or of numbers."""
        kind = self.one_of("id", "id", "history", "history", "history", "open", "bag", "fields")
        if self.chance(0.15):
            return self.numbers(width)
        if kind == "id":
            return self.looked_up((), width)
        if kind == "history":
            return self.pooled(self.sequence(self.looked_up((self.size(1, 12),), width), width))
        if kind == "open":
            x = self.looked_up((None,), width)
            for _ in range(self.size(0, 3)):
                padding, kernel = self.one_of("same", "causal"), self.one_of(3, 5, 9)
                x = layers.Conv1D(width, kernel, padding=padding, activation="relu")(x)
            return self.pooled(Positions(64, width)(x) if self.chance(0.3) else x)
        if kind == "bag":
            return self.bag(width)
        return self.fields(width)

    def bag(self, width):
        """Ids that a layer of ours pools, in rows of any length where they are ragged."""
        rows, combiner = self.size(20, 3000), self.one_of("sum", "mean", "sqrtn")
        table = self.method(rows, width, combiner=combiner)
        if self.chance(0.5):
            return table(self.given((self.size(1, 9),), rows, "int32"))

        def draw(rng, count):
            sizes = [0, *rng.integers(1, 6, count - 1)]
            return tf.ragged.constant(
                [rng.integers(0, rows, size).tolist() for size in sizes],
                tf.int32,
                ragged_rank=1,
                row_splits_dtype=tf.int32,
            )

        return table(self.input((None,), "int32", draw, ragged=True))

    def fields(self, width):
        """Several fields in one table, each behind the rows of those before it."""
        sizes = self.rng.integers(5, 400, self.size(2, 6))
        offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)

        def draw(rng, count):
            return rng.integers(0, sizes, (count, len(sizes))).astype(np.int32)

        ids = self.input((len(sizes),), "int32", draw) + offsets
        return self.pooled(self.table(int(sizes.sum()), width)(ids))

    def numbers(self, width):
        """Numeric features of mixed magnitudes, brought to one by some layer or none."""
        magnitudes = 10.0 ** self.rng.uniform(-2, 5, self.size(1, 9))

        def draw(rng, count):
            return (rng.lognormal(size=(count, len(magnitudes))) * magnitudes).astype(np.float32)

        x = self.input((len(magnitudes),), "float32", draw)
        how = self.one_of("raw", "raw", "normalized", "logarithms")
        if how == "normalized":
            x = layers.Normalization(mean=magnitudes, variance=magnitudes**2)(x)
        elif how == "logarithms":
            x = layers.Lambda(tf.math.log1p)(x)
        dense = layers.Dense(width)
        if how == "raw":
            self.once_filled.append(lambda: _divide_rows(dense, magnitudes))
        return dense(x)

    def sequence(self, x, width):
        kind = self.one_of(
            None, None, "conv", "gru", "attention", "norm", "dense", "positions", "unit"
        )
        if kind == "conv":
            return layers.Conv1D(width, self.one_of(3, 5), padding="same", activation="relu")(x)
        if kind == "gru":
            return layers.GRU(width, return_sequences=True, unroll=self.chance(0.7))(x)
        if kind == "attention":
            return layers.MultiHeadAttention(2, 4)(x, x)
        if kind == "positions":
            return Positions(x.shape[1], width)(x)
        if kind is None:
            return x
        of_kind = {
            "norm": layers.LayerNormalization,
            "dense": lambda: layers.Dense(width),
            "unit": layers.UnitNormalization,
        }
        return of_kind[kind]()(x)

    def pooled(self, x):
        pool = self.one_of("mean", "max", "flat")
        if pool == "flat" and x.shape[1] is not None:
            return layers.Dense(x.shape[-1])(layers.Flatten()(x))
        pools = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}
        return pools.get(pool, layers.GlobalAveragePooling1D)()(x)

    def joined(self, vectors):
        if len(vectors) == 1:
            return vectors[0]
        if self.chance(0.2):  # one layer for all of them
            vectors = [*map(layers.Dense(self.size(2, 40), activation="tanh"), vectors)]
        if len(vectors) == 2 and self.chance(0.1):
            return layers.Subtract()(vectors)
        if self.chance(0.4):
            return getattr(layers, self.one_of(*MERGES))()(vectors)
        return layers.Concatenate()(vectors)

    def hidden(self, x):
        kind = self.one_of("dense", "dense", "norm", "batch", "drop", "cross", "unit", "activation")
        activation = self.one_of(*ACTIVATIONS, None)
        if kind == "dense":
            return layers.Dense(self.size(1, 150), activation=activation)(x)
        if kind == "cross":
            return layers.Multiply()([x, layers.Dense(x.shape[-1], activation=activation)(x)])
        of_kind = {
            "norm": layers.LayerNormalization,
            "batch": layers.BatchNormalization,
            "drop": lambda: layers.Dropout(0.3),
            "unit": layers.UnitNormalization,
            "activation": lambda: layers.Activation(activation or "silu"),
        }
        return of_kind[kind]()(x)

    # Outputs.

    def outputs(self, x, vectors):
        heads = [self.head(x, vectors) for _ in range(self.one_of(1, 1, 1, 2, 3))]
        form = self.one_of("list", "dict")
        if form == "dict":
            return {f"head_{place}": head for place, head in enumerate(heads)}
        return heads if len(heads) > 1 else heads[0]

    def head(self, x, vectors):
        kinds = ("score", "score", "softmax", "percent", "large", "small", "best", "top", "is so")
        kind = self.one_of(*kinds, "dot", "cosine", "tied", "tied")
        if kind in ("dot", "cosine") and len(vectors) > 1:
            return layers.Dot(1, normalize=kind == "cosine")(vectors[:2])
        if kind == "tied" and self.known:
            return self.tied(x)
        if kind == "softmax":
            return layers.Dense(self.size(2, 500), activation="softmax")(x)
        if kind == "percent":
            dense = layers.Dense(1, activation="sigmoid")
            self.once_filled.append(lambda: _set_bias(dense, -5.0))
            return dense(x)
        scores = layers.Dense(1 if kind == "score" else self.size(6, 60))(x)
        functions = {
            "large": lambda scores: scores * 1e4,
            "small": lambda scores: scores * 1e-4,
            "best": lambda scores: tf.argmax(scores, axis=-1, output_type=tf.int32),
            "top": lambda scores: tf.math.top_k(scores, 5).indices,
            "is so": lambda scores: scores > 0,
        }
        return layers.Lambda(functions[kind])(scores) if kind in functions else scores

    def tied(self, x):
        """Scores of all rows of a table, written in some way."""
        table, _ = self.one_of(*self.known)
        query = layers.Dense(table.output_dim)(x)
        if not _is_plain(table):
            return layers.Lambda(table.score_all)(query)
        spelling = SPELLINGS[self.one_of(*SPELLINGS)]
        return layers.Lambda(lambda x: spelling(x, tf.convert_to_tensor(table.embeddings)))(query)


def _is_plain(table):
    return isinstance(table, layers.Embedding)


def _divide_rows(dense, magnitudes):
    kernel, *others = dense.get_weights()
    dense.set_weights([kernel / magnitudes[:, None], *others])


def _set_bias(dense, bias):
    kernel, biases = dense.get_weights()
    dense.set_weights([kernel, np.full_like(biases, bias)])
