"""Files of object stores, by fsspec: `s3://bucket/log.parquet` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from memcom_tf.errors import message

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://")
_PATTERN = re.compile(r"[*?\[]")
_TAGS = "ETag", "etag", "md5Hash", "content_md5", "checksum"
"""What file systems call the hash, or the version, of a file's content."""
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}
"""What fsspec needs for a scheme, where it is no part of it."""


class Size(NamedTuple):
    """Of a file, as `Path.stat` gives it.

    Attributes:
        st_size: Its bytes.
    """

    st_size: int


@dataclass(frozen=True)
class RemoteFile:
    """A file of an object store, with as much of `pathlib.Path` as its readers use.

    Attributes:
        url: Where it is, with its scheme.
        system: The file system of fsspec.
        key: What that calls it.
    """

    url: str
    system: Any = field(compare=False)
    key: str = field(compare=False)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """The end of its name."""
        return PurePosixPath(self.key).suffix

    def open(self, mode: str = "rb") -> Any:
        """Opens it to read bytes."""
        with answering(self.url):
            return self.system.open(self.key, mode)

    def stat(self) -> Size:
        """How large it is."""
        with answering(self.url):
            return Size(int(self.system.info(self.key)["size"]))

    def is_dir(self) -> bool:
        """It is not."""
        return False

    def tag(self) -> str | None:
        """What the store says of its content, which changes with it; None where it says nothing."""
        with answering(self.url):
            info = self.system.info(self.key)
        return next((str(info[name]).strip('"') for name in _TAGS if info.get(name)), None)

    def __str__(self) -> str:
        return self.url


def is_url(source: str) -> bool:
    """Whether a source is a URL, and no path.

    Example:
        >>> is_url("s3://bucket/log.csv"), is_url("logs/day=*/*.csv")
        (True, False)
    """
    return _URL.match(source) is not None


def remote_files(url: str, is_part: Callable[[PurePosixPath], bool]) -> list[RemoteFile]:
    """The files that a URL names: itself, those of its folder, or those that fit its pattern.

    Args:
        url: The URL.
        is_part: Whether a file of a folder, by its path within, is one of a log.

    Returns:
        The files in the order of their paths; none where there are none.

    Raises:
        ImportError: If fsspec, or what it needs for the scheme, is not installed.
        OSError: If the store does not answer.
    """
    system, key = file_system(url)
    scheme = url.partition("://")[0]
    of_folder = False
    with answering(url):
        if _PATTERN.search(key):
            found = system.glob(key, detail=True)
            keys = [name for name, info in found.items() if info["type"] == "file"]
        elif system.isfile(key):
            keys = [key]
        else:
            keys, of_folder = system.find(key), True
    if of_folder:
        within = {name: PurePosixPath(name.removeprefix(key).strip("/")) for name in keys}
        keys = [name for name, path in within.items() if is_part(path)]
    return [RemoteFile(f"{scheme}://{name.lstrip('/')}", system, name) for name in sorted(keys)]


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and what it calls the file.

    Raises:
        ImportError: If fsspec, or what it needs for the scheme, is not installed.
        OSError: If there is no such file system.
    """
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(
            message(
                "fsspec must be installed to read from object stores.",
                'Run: pip install "memcom_tf[remote]".',
                missing=error.name,
                url=url,
            )
        ) from error
    scheme = url.partition("://")[0]
    try:
        with answering(url):
            system, key = fsspec.core.url_to_fs(url)
            return system, str(key)
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        raise ImportError(
            message(
                f"What fsspec reads {scheme}:// with must be installed.",
                f"Run: pip install {package}." if package else str(error),
                url=url,
            )
        ) from error


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Errors of an object store as this package's."""
    try:
        yield
    except (ImportError, MemoryError):
        raise
    # Every store raises what its library does.
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise OSError(
            message(
                "The object store must answer.",
                "Check the URL, and the credentials in the environment or the files of its "
                "own package.",
                url=url,
                error=reason,
            )
        ) from error
