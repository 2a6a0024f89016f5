"""How a model becomes a file: with the functions of its task, or with its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from memcom_tf.tasks import Task

from ..inputs import Samples
from ..model_file.description import FileDescription, RankerDescription
from ..quantization.fold import ShippedEmbedding
from ..quantization.weights import Profile, Weights
from ..sources.names import file_names
from ..sources.source import Source
from ..tracing.signatures import (
    Signatures,
    embed_signatures,
    query_of_graph,
    query_of_history,
    ranker_signatures,
)
from .trained_model import ShippedMatrix, TrainedModel


@dataclass(frozen=True)
class Parts:
    """A model and the tables that ship of it.

    Attributes:
        model: The Keras model; None of a SavedModel.
        source: Where its functions come from.
        weights: How tables are stored.
        profile: Runtimes that read them.
        shipped: Its compressed embeddings, folded and quantized.
        k: Length of a ranker's list.
        samples: Inputs that the model is made for; None where the user gave none.
        described: The description of a file, which decided how tables are stored; None before.
        task: What the model is for.
    """

    model: Any
    source: Source
    weights: Weights
    profile: Profile
    shipped: Sequence[ShippedEmbedding]
    k: int
    samples: Samples = None
    described: FileDescription | None = None
    task: Task = field(default_factory=Task)

    @property
    def vocabulary(self) -> Any:
        """The vocabulary of the model, if it has one."""
        return getattr(self.model, "vocabulary", None)


class Form(ABC):
    """What a file of a model computes, and what it says of itself.

    Args:
        parts: The model and the tables that ship of it.
    """

    kind: ClassVar[str]

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @property
    def matrices(self) -> Sequence[ShippedMatrix]:
        """Tables and kernels that no layer of `memcom_tf.layers` holds."""
        return ()

    @property
    def left_as_floats(self) -> Mapping[str, str]:
        """Larger matrices that stay floats, and why, by name."""
        return {}

    @property
    def multiplied_in_floats(self) -> Mapping[str, str]:
        """Tables in integers that are multiplied in floats, and why, by name."""
        return {}

    @property
    def ranker(self) -> RankerDescription | None:
        """What the description of a ranker's file has beside; None of others."""
        return None

    @abstractmethod
    def signatures(self) -> Signatures:
        """What the file computes."""

    @abstractmethod
    def vector_signatures(self) -> list[str | None]:
        """The signature that returns the vectors of each embedding; None where none does."""


class RankerForm(Form):
    """`rank`, `score` and `embed` of a model that scores a catalogue."""

    kind = "ranker"

    @property
    def ranker(self) -> RankerDescription:
        """The sizes that an app needs to know."""
        return _ranker_description(self.parts)

    def signatures(self) -> Signatures:
        """`rank`, `score` and those of vectors."""
        of_vectors = embed_signatures(self.vector_signatures(), self.parts.shipped)
        of = self.parts
        query = query_of_history(of.model)
        return {**ranker_signatures(of.model, query, of.shipped, of.k), **of_vectors}

    def vector_signatures(self) -> list[str | None]:
        """Those of the history's table, and of the scored items' where it is another."""
        model = self.parts.model
        names = {id(model.item_embedding): "embed", id(model.output_embedding): "embed_output"}
        return [names.get(id(embedding.trained)) for embedding in self.parts.shipped]


class ModelForm(Form):
    """The functions of the model itself."""

    kind = "model"

    @cached_property
    def functions(self) -> TrainedModel:
        """They, over the trained tables and over those that ship."""
        of = self.parts
        samples = of.task.samples(of.model) if of.samples is None else of.samples
        return TrainedModel(of.source, of.shipped, of.weights, of.profile, samples, of.described)

    @property
    def matrices(self) -> Sequence[ShippedMatrix]:
        """Tables and kernels of Keras' layers, and of a SavedModel."""
        return self.functions.matrices

    @property
    def left_as_floats(self) -> Mapping[str, str]:
        """What is read in other ways than as a table or a kernel."""
        return self.functions.left

    @property
    def multiplied_in_floats(self) -> Mapping[str, str]:
        """What loses too much in 8 bits."""
        return self.functions.in_floats

    def signatures(self) -> Signatures:
        """The model's own, and those of vectors."""
        of_vectors = embed_signatures(self.vector_signatures(), self.parts.shipped)
        return {**self.functions.signatures(), **of_vectors}

    def vector_signatures(self) -> list[str | None]:
        """One for each embedding."""
        shipped = self.parts.shipped
        if len(shipped) == 1:
            return ["embed"]
        return [*file_names(f"embed_{embedding.trained.name}" for embedding in shipped)]


class RetrievalForm(ModelForm):
    """`query` of a model, `rank` and `score` around it, and `embed`."""

    kind = "ranker"

    @property
    def ranker(self) -> RankerDescription:
        """The sizes that an app needs to know."""
        return _ranker_description(self.parts)

    def signatures(self) -> Signatures:
        """`query`, `rank`, `score` and those of vectors."""
        of = self.parts
        own = super().signatures()
        query = query_of_graph(own["query"])
        return {**own, **ranker_signatures(of.model, query, of.shipped, of.k)}

    def vector_signatures(self) -> list[str | None]:
        """Those of the items, and of other tables by their names; biases are no vectors."""
        model, shipped = self.parts.model, self.parts.shipped
        names = file_names(f"embed_{embedding.trained.name}" for embedding in shipped)
        known = {id(model.item_embedding): "embed", id(model.item_bias_embedding): None}
        return [
            known.get(id(embedding.trained), name)
            for embedding, name in zip(shipped, names, strict=True)
        ]


def _ranker_description(parts: Parts) -> RankerDescription:
    vocabulary = parts.vocabulary
    return RankerDescription(
        k=parts.k,
        history_length=parts.model.history_length,
        reserved_ids=1 if vocabulary is None else vocabulary.first_id,
    )


FORMS: Mapping[str, type[Form]] = {
    "ranker": RankerForm,
    "retrieval": RetrievalForm,
    "model": ModelForm,
}
"""By the kind of files that a task has."""
