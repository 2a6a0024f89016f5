"""Tests of the fused ops run wherever a C++ compiler is."""

from __future__ import annotations

import pytest

from memcom_tf.kernels.build import BuildError, find_compiler


def _compiler() -> bool:
    try:
        find_compiler()
    except BuildError:
        return False
    return True


# A compiler that is there and fails is a failure of the tests.
needs_native = pytest.mark.skipif(not _compiler(), reason="no C++ compiler to build the fused ops")
