"""What a model is run on: a user's samples, or inputs that are drawn to excite it."""

from .drawing import draw
from .function import Group, ModelFunction
from .samples import Samples, samples_of

__all__ = ["Group", "ModelFunction", "Samples", "draw", "samples_of"]
