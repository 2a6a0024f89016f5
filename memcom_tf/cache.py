"""Where files are kept that are made or fetched once."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "MEMCOM_TF_CACHE"


def cache_root(folder: str | os.PathLike[str] | None = None) -> Path:
    """Returns the cache folder, absolute, whether or not it exists.

    Args:
        folder: The folder; None takes the environment variable MEMCOM_TF_CACHE, or the user's
            cache folder where it is not set.

    Returns:
        The path.

    Example:
        >>> cache_root("/var/cache/memcom").as_posix()
        '/var/cache/memcom'
    """
    root = folder or os.environ.get(CACHE_VARIABLE)
    if not root:
        from platformdirs import user_cache_dir

        root = user_cache_dir("memcom_tf")
    return Path(os.path.abspath(os.path.expanduser(root)))
