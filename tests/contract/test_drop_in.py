"""Keras' own tests of its embedding, of the installed wheel, with `FullEmbedding` in its place."""

from __future__ import annotations

import importlib.util
import types

import pytest
from packaging.version import Version

from memcom_tf._keras import is_keras_3, keras

if not is_keras_3:
    pytest.skip("tf_keras comes without its tests", allow_module_level=True)

from keras.src import layers

from memcom_tf.layers import FullEmbedding

_BITS = "bits are chosen by `storage`: Keras' quantization is refused, as by most of its layers"
_LORA = "LoRA is refused, as by most of Keras' layers: compressed tables train as they are"
_STORE = "half of it reads variables of Keras' quantization"
CANNOT_HOLD = {
    "test_embedding_quantize_config": _BITS,
    "test_embedding_int8_custom_quantizer": _BITS,
    "test_int4": _BITS,
    "test_quantize_by_setting_dtype_policy": _BITS,
    "test_quantize_dtype_argument": _BITS,
    "test_quantize_int_int": _BITS,
    "test_quantize_invalid_mode": _BITS,
    "test_quantize_lora_integration": _BITS,
    "test_quantize_on_subclass": _BITS,
    "test_quantize_when_already_quantized": _BITS,
    "test_enable_lora": _LORA,
    "test_lora_rank_argument": _LORA,
    "test_legacy_load_own_variables": _STORE,
}
"""What names of their tests begin with that ask for what is refused, and why."""


def _their_tests() -> type:
    """The class of their file, run apart from the module that others may import."""
    spec = importlib.util.find_spec("keras.src.layers.core.embedding_test")
    if spec is None or spec.loader is None:
        pytest.skip("this Keras comes without its tests", allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    swapped = types.ModuleType("layers_with_ours")
    swapped.__dict__.update(vars(layers), Embedding=FullEmbedding)
    module.layers = swapped
    tests = module.EmbeddingTest
    for name in [name for name in dir(tests) if name.startswith("test_")]:
        for start, reason in CANNOT_HOLD.items():
            if name.startswith(start):
                mark = pytest.mark.xfail(reason=reason, strict=True)
                setattr(tests, name, mark(getattr(tests, name)))
                break
    return tests


EmbeddingTest = _their_tests()


@pytest.mark.skipif(
    Version(keras.__version__) < Version("3.15"), reason="its tests are fewer in earlier versions"
)
def test_every_exception_names_a_test_of_theirs():
    names = [name for name in dir(EmbeddingTest) if name.startswith("test_")]
    for start in CANNOT_HOLD:
        assert any(name.startswith(start) for name in names), start
