"""How a model becomes a file: with the functions of its task, or with its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from .names import file_names
from .signatures import Signatures, embed_signatures, ranker_signatures
from .trained_model import ShippedMatrix, TrainedModel

if TYPE_CHECKING:
    from .prepared import Prepared


class Form(ABC):
    """What a file of a model computes, and what it says of itself.

    Args:
        prepared: The model with the tables that ship of it.
    """

    kind: ClassVar[str]

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared

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
    def fields(self) -> dict[str, Any]:
        """What the description of such a file has beside that of others."""
        return {}

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
    def fields(self) -> dict[str, Any]:
        """The sizes that an app needs to know."""
        vocabulary = self.prepared.vocabulary
        return {
            "k": self.prepared.k,
            "history_length": self.prepared.model.history_length,
            "reserved_ids": 1 if vocabulary is None else vocabulary.first_id,
        }

    def signatures(self) -> Signatures:
        """`rank`, `score` and those of vectors."""
        of_vectors = embed_signatures(self.vector_signatures(), self.prepared.shipped)
        prepared = self.prepared
        return {**ranker_signatures(prepared.model, prepared.shipped, prepared.k), **of_vectors}

    def vector_signatures(self) -> list[str | None]:
        """Those of the history's table, and of the scored items' where it is another."""
        model = self.prepared.model
        names = {id(model.item_embedding): "embed", id(model.output_embedding): "embed_output"}
        return [names.get(id(embedding.trained)) for embedding in self.prepared.shipped]


class ModelForm(Form):
    """The functions of the model itself."""

    kind = "model"

    @cached_property
    def functions(self) -> TrainedModel:
        """They, over the trained tables and over those that ship."""
        of = self.prepared
        return TrainedModel(of.source, of.shipped, of.weights, of.profile, of.samples, of.described)

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
        of_vectors = embed_signatures(self.vector_signatures(), self.prepared.shipped)
        return {**self.functions.signatures(), **of_vectors}

    def vector_signatures(self) -> list[str | None]:
        """One for each embedding."""
        shipped = self.prepared.shipped
        if len(shipped) == 1:
            return ["embed"]
        return [*file_names(f"embed_{embedding.trained.name}" for embedding in shipped)]


FORMS: Mapping[str, type[Form]] = {form.kind: form for form in (RankerForm, ModelForm)}
"""By the kind of the file."""
