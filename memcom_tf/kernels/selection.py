"""Which implementation of the lookups runs: the fused C++ ops, or plain TensorFlow ops.

The graphs of inference are what gets exported, so they are made of plain ops, which every runtime
has. The fused ops serve training, on the CPU. Where they cannot, a warning says why, once.
"""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from memcom_tf.errors import invalid, message
from memcom_tf.kernels import build
from memcom_tf.kernels.placement import obstacle, of_this_replica

MODES = ("auto", "native", "reference")
MODE_VARIABLE = "MEMCOM_TF_OPS"
_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Choice(NamedTuple):
    mode: str
    in_inference: bool = False
    source: str = "use()"


_chosen: ContextVar[_Choice | None] = ContextVar("memcom_tf_ops", default=None)


@functools.cache
def _unconverted(function: Callable[_P, _T]) -> Callable[_P, _T]:
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def _as_written(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Keeps AutoGraph out, which would rewrite the compiler's call and all else below."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _unconverted(function)(*args, **kwargs)

    return call


@contextmanager
def use(mode: str, *, in_inference: bool = False) -> Iterator[None]:
    """Chooses the implementation of the lookups within a `with`, over `MEMCOM_TF_OPS`.

    A `tf.function` is made of what was chosen when it was traced, and stays so; `compile` a Keras
    model anew to have it traced anew. The choice is that of a thread: under a strategy of
    `tf.distribute`, which computes in threads of its own, `MEMCOM_TF_OPS` chooses.

    Args:
        mode: "auto": the fused ops, or plain ones, after a warning, where the fused ops cannot be
            built. "native": where they cannot be built, an error. "reference": plain ops.
        in_inference: Take the fused ops outside of training too, also in a SavedModel, which can
            then be loaded only where the library of the ops has been.

    Yields:
        None.

    Raises:
        ValueError: For another mode, and for `in_inference` with "reference".

    Example:
        >>> from memcom_tf.ops import use
        >>> from memcom_tf.layers import MEmComEmbedding
        >>> layer = MEmComEmbedding(1000, 8, num_buckets=100)
        >>> with use("reference"):
        ...     vectors = layer(np.array([[1, 2, 3]]), training=True)
        >>> vectors.shape
        TensorShape([1, 3, 8])
    """
    if mode not in MODES:
        raise invalid(f"`mode` must be one of {MODES}.", mode=mode)
    if in_inference and mode == "reference":
        raise invalid(
            "`in_inference` must be False where `mode` is 'reference', which has no fused ops.",
            "Use 'auto' or 'native'.",
            in_inference=in_inference,
        )
    token = _chosen.set(_Choice(mode, in_inference))
    try:
        yield
    finally:
        _chosen.reset(token)


@_as_written
def library() -> Any | None:
    """Returns the module of the fused ops, which the first call compiles and loads.

    Returns:
        The module, or None in the mode "reference", and in "auto" where there is no library; a
        warning then says why, once.

    Raises:
        RuntimeError: In the mode "native" where there is no library, with the reason.
        ValueError: If `MEMCOM_TF_OPS` is no mode.
    """
    mode = current_choice().mode
    if mode == "reference":
        return None
    outcome = load_once()
    if outcome.error is None:
        return outcome.module
    if mode == "native":
        raise RuntimeError(
            message(
                "The fused ops must be there in the mode 'native'.",
                f"Run `memcom doctor`. They are not, because: {outcome.error}",
            )
        ) from outcome.error
    warn_once(
        "library",
        "memcom_tf trains with plain TensorFlow ops, which are slower, as its C++ ops cannot be "
        f"built or loaded. Run `memcom doctor`, or set {MODE_VARIABLE}=reference if that is what "
        f"you want. The reason: {outcome.error}",
    )
    return None


def loaded() -> Any | None:
    """Returns the module of the fused ops if it has been loaded, whatever the mode is now.

    Gradients and updates of what has run as a fused op need it, be it behind the `with`.
    """
    return None if _outcome is None else _outcome.module


@_as_written
def is_training(training: Any) -> bool:
    """Whether a call is a step of training, here and now.

    Args:
        training: The `training` argument of `call`. A tensor says nothing while it is traced.

    Returns:
        True if `training` is true or a `tf.GradientTape` records, and no SavedModel is being
        written: in a save context tf_keras traces every layer with `training=True` too.
    """
    import tensorflow as tf

    # Not `tf.is_tensor`, which takes 20 microseconds.
    told = not isinstance(training, tf.Tensor | tf.Variable) and bool(training)
    try:
        internals = _internals()
    except ImportError:
        return told
    return (told or internals.could_possibly_record()) and not internals.in_save_context()


@_as_written
def is_compiled_by_xla() -> bool:
    """Whether what is being traced is for XLA."""
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    try:
        internals = _internals()
    except ImportError:
        return False
    return bool(internals.in_xla_context(internals.default_graph()))


@_as_written
def uses_native(variables: Iterable[Any], *, training: Any = None) -> bool:
    """Whether a lookup in these tables is to run as a fused op, here and now.

    Args:
        variables: The tables, Keras' or TensorFlow's variables.
        training: The `training` argument of `call`. A tensor says nothing while it is traced.

    Returns:
        True in training, that is if `training` is true or a `tf.GradientTape` records, or
        wherever `use(..., in_inference=True)` asks for it. False for a SavedModel that is being
        written, under XLA, and for variables that are not on this machine's CPU.

    Raises:
        RuntimeError: In the mode "native" where there is no library.
        ValueError: If `MEMCOM_TF_OPS` is no mode.
    """
    import tensorflow as tf

    choice = current_choice()
    if choice.mode == "reference":
        return False
    try:
        internals = _internals()
    except ImportError:
        # `library` says so: without them it is of no use.
        return library() is not None
    if not choice.in_inference and not is_training(training):
        return False
    if is_compiled_by_xla():
        warn_once(
            "xla",
            "memcom_tf runs plain TensorFlow ops where XLA compiles, for which its C++ ops are "
            "not made. Compile the model with jit_compile=False to train with them.",
        )
        return False
    for variable in variables:
        # A Keras variable holds TensorFlow's as `value`, which there is a method.
        value = getattr(variable, "value", None)
        held = variable if value is None or callable(value) else value
        if isinstance(held, tf.Tensor):
            # It stands for the variable while Keras infers shapes.
            return False
        if found := obstacle(of_this_replica(held), internals.plain_variables):
            what, advice = found
            warn_once(
                "variable",
                "memcom_tf runs plain TensorFlow ops, as its C++ ops need tables of 32 or 16 bits "
                f"that are variables on this machine's CPU, and {variable.name!r} {what}. "
                f"{advice}, or set {MODE_VARIABLE}=reference if this is what you want.",
            )
            return False
    return library() is not None


def current_choice() -> _Choice:
    """The mode here and now, and who chose it."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    mode = os.environ.get(MODE_VARIABLE)
    if not mode:
        return _Choice("auto", source="default")
    if mode not in MODES:
        raise ValueError(
            message(
                f"The environment variable {MODE_VARIABLE} must be one of {MODES}.",
                "Correct or unset it.",
                **{MODE_VARIABLE: mode},
            )
        )
    return _Choice(mode, source=MODE_VARIABLE)


class _Outcome(NamedTuple):
    module: Any
    path: Path | None
    error: Exception | None


_outcome: _Outcome | None = None
_loading = threading.Lock()


def load_once() -> _Outcome:
    """The library, or why there is none. A compiler that fails is not run at every trace."""
    global _outcome
    if _outcome is None:
        with _loading:
            if _outcome is None:
                _outcome = _load()
    return _outcome


def _load() -> _Outcome:
    import tensorflow as tf

    path = None
    try:
        _internals()
        path = build.build()
        try:
            module = tf.load_op_library(str(path))
        except (tf.errors.OpError, RuntimeError, OSError):
            # Whole, and yet not for this machine: its libc may be older than where it was built.
            path = build.build(force=True)
            module = tf.load_op_library(str(path))
    except (tf.errors.OpError, RuntimeError, OSError, ImportError) as error:
        return _Outcome(None, path, error)
    return _Outcome(module, path, None)


_warned: set[str] = set()


def warn_once(kind: str, text: str) -> None:
    """Warns of something the first time that it is met in a process."""
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(text, RuntimeWarning, stacklevel=2)


class _Internals(NamedTuple):
    """What TensorFlow's public interface does not tell."""

    could_possibly_record: Callable[[], bool]
    in_save_context: Callable[[], bool]
    in_xla_context: Callable[[Any], bool]
    default_graph: Callable[[], Any]
    plain_variables: tuple[Any, ...]


@functools.cache
def _internals() -> _Internals:
    from tensorflow.python.eager.record import could_possibly_record
    from tensorflow.python.framework.ops import get_default_graph
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    from tensorflow.python.ops.resource_variable_ops import ResourceVariable, UninitializedVariable
    from tensorflow.python.saved_model.save_context import in_save_context

    return _Internals(
        could_possibly_record,
        in_save_context,
        GraphOrParentsInXlaContext,
        get_default_graph,
        (ResourceVariable, UninitializedVariable),
    )
