"""The examples in the docstrings are run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import memcom_tf
import memcom_tf.converters

MODULES = sorted(
    module.name
    for package in (memcom_tf, memcom_tf.converters)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"np": np})
    assert failed == 0


def test_every_method_has_a_running_example_formula_and_source():
    from memcom_tf.layers import METHODS, CompressedEmbedding

    of_all = CompressedEmbedding.__init__.__kwdefaults__

    for method in METHODS.values():
        assert ">>> " in method.__doc__
        assert method.formula
        assert method.source == "baseline" or method.source.startswith("arXiv:")
        for argument in method.__init__.__kwdefaults__ or {}:
            assert f"{argument}:" in method.__doc__ or argument in of_all, argument
