"""Compiles the C++ ops for the TensorFlow that is installed, once, into the user's cache.

TensorFlow's C++ interface changes with every release, so a compiled file fits one release alone.
The package therefore carries the sources. Nothing here imports TensorFlow before it is needed.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from memcom_tf.cache import CACHE_VARIABLE, cache_root
from memcom_tf.errors import message
from memcom_tf.files import write_atomically

SOURCES = Path(__file__).with_name("cc")
_MAIN = "memcom_ops.cc"
_LIBRARY = "memcom_ops.so"
_COMPILERS = ("g++", "clang++", "c++")
# Not -march=native: a cache may be copied to, or shared with, a machine with an older processor.
# Not -ffast-math: infinities and NaN must pass through as they do in TensorFlow's own ops.
_FLAGS = (
    *("-std=c++17", "-shared", "-fPIC", "-O3", "-fno-math-errno", "-fno-trapping-math"),
    *("-Wall", "-Wextra"),
    *(("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()),
)
_COMPILE_SECONDS = 600.0
_LOCK_SECONDS = _COMPILE_SECONDS + 60.0
_LINES_SHOWN = 20
_MOST_LINKS = 40


class BuildError(RuntimeError):
    """The C++ ops could not be compiled; the message says why and what to do."""


def find_compiler() -> list[str]:
    """Returns the command of the C++ compiler: `$CXX` if set, else the first one on PATH.

    Returns:
        The words of the command; `CXX` may hold several, such as "ccache g++".

    Raises:
        BuildError: If there is none.
    """
    if command := shlex.split(os.environ.get("CXX", "")):
        if shutil.which(command[0]) is None:
            raise BuildError(
                message(
                    "The environment variable CXX must name a compiler that exists.",
                    "Correct it, or unset it to take the first of " + ", ".join(_COMPILERS) + ".",
                    CXX=os.environ["CXX"],
                )
            )
        return command
    for name in _COMPILERS:
        if shutil.which(name) is not None:
            return [name]
    raise BuildError(
        message(
            "A C++ compiler must be on PATH, to compile the fused ops.",
            "Install one (apt install g++, dnf install gcc-c++, xcode-select --install), or name "
            "one in the environment variable CXX.",
            looked_for=", ".join(_COMPILERS),
        )
    )


def library_path(sources: Path | None = None) -> Path:
    """Returns where in the cache the library of this TensorFlow is kept, built or not.

    The name of its folder holds a hash of all that shapes the library: the sources, the flags,
    and which build of TensorFlow it is for. The compiler is not part of it, so that a machine
    without one can use what was built before.

    Args:
        sources: The folder of the sources; None takes the package's own.

    Returns:
        The path.
    """
    return cache_root() / "ops" / _key(sources or SOURCES) / _LIBRARY


def is_built(library: Path) -> bool:
    """Whether a library is there, whole, and in a folder where nobody else could have put it."""
    try:
        expected = _checksum_path(library).read_bytes()
        return _is_private(library.parent) and _checksum(library) == expected
    except OSError:
        return False


def build(force: bool = False, *, sources: Path | None = None, temporary: bool = True) -> Path:
    """Compiles the ops unless the cache has them.

    Processes that want the same library at the same time wait for one of them to compile it.

    Args:
        force: Compile also if the cache has the library.
        sources: The folder of the sources, of which memcom_ops.cc is compiled; None takes the
            package's own.
        temporary: Where the cache cannot be used, warn and compile for this process alone.

    Returns:
        The library.

    Raises:
        BuildError: If there is no compiler, it fails, another process compiles for too long, or
            the cache cannot be used and `temporary` is false.
    """
    sources = sources or SOURCES
    if not (sources / _MAIN).is_file():
        raise BuildError(
            message(
                f"The folder of the C++ sources must hold {_MAIN}.",
                "Install memcom_tf anew.",
                sources=str(sources),
            )
        )
    library = library_path(sources)
    if not force and is_built(library):
        return library
    try:
        return _build_in_turn(library, sources, force)
    except (OSError, NotImplementedError) as error:  # the latter: no file locks on this system
        if not temporary:
            raise BuildError(
                message(
                    "The cache must be a folder that only you can write to, as the ones above.",
                    f"Name another one in the environment variable {CACHE_VARIABLE}.",
                    cache=str(library.parent),
                    error=str(error),
                )
            ) from error
        return _build_for_this_process(library, sources, force, error)


def _build_for_this_process(library: Path, sources: Path, force: bool, reason: Exception) -> Path:
    try:
        folder = _temporary_folder(f"{library.parent} cannot be used: {reason}")
        return _build_in_turn(folder / "ops" / library.parent.name / _LIBRARY, sources, force)
    except (OSError, NotImplementedError) as error:
        raise BuildError(
            message(
                "The cache or the folder for temporary files must be writable.",
                f"Name a folder in the environment variable {CACHE_VARIABLE}.",
                cache=str(library.parent),
                error=str(reason),
                temporary_error=str(error),
            )
        ) from error


@functools.cache
def _temporary_folder(reason: str) -> Path:
    """Made, and warned of, once per reason."""
    folder = tempfile.mkdtemp(prefix="memcom_tf-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    warnings.warn(
        f"memcom_tf compiles its C++ ops for this process alone, as the cache {reason}. Name a "
        f"folder that only you can write to in the environment variable {CACHE_VARIABLE}.",
        RuntimeWarning,
        stacklevel=4,
    )
    return Path(folder)


def _build_in_turn(library: Path, sources: Path, force: bool) -> Path:
    # Imported here, as what only reads files (`memcom rank`) does without.
    from filelock import FileLock, Timeout

    folder = library.parent
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for private in (folder.parent, folder):
        private.mkdir(mode=0o700, exist_ok=True)
    if (unsafe := _unsafe_folder(folder)) is not None:
        raise PermissionError(f"{unsafe} belongs to, or can be written by, somebody else")
    lock = folder / ".lock"
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS):
            if force or not is_built(library):
                _compile(sources, library)
    except Timeout as error:
        raise BuildError(
            message(
                f"The lock of the cache must become free within {_LOCK_SECONDS:g} seconds.",
                "Another process holds it: end that one, or name another folder in the "
                f"environment variable {CACHE_VARIABLE}.",
                lock=str(lock),
            )
        ) from error
    return library


def _compile(sources: Path, library: Path) -> None:
    """Compiles beside `library` and moves the result there; needs the lock."""
    import tensorflow as tf

    compiler = find_compiler()
    unfinished = library.with_name(f".{library.name}.tmp")
    command = [*compiler, *_FLAGS, *_flags_of_tensorflow(), str(sources / _MAIN)]
    command += [*tf.sysconfig.get_link_flags(), "-o", str(unfinished)]
    print(
        f"memcom_tf: compiling the C++ ops for TensorFlow {tf.version.VERSION} with "
        f"{shlex.join(compiler)}, once; this takes about half a minute ...",
        file=sys.stderr,
        flush=True,
    )
    # Whoever was killed while compiling left one behind.
    unfinished.unlink(missing_ok=True)
    try:
        _run(command)
        checksum = _checksum(unfinished)
        os.replace(unfinished, library)
        # Until the checksum is there as well, readers take the library for damaged, and wait.
        write_atomically(_checksum_path(library), checksum)
    finally:
        unfinished.unlink(missing_ok=True)


def _run(command: list[str]) -> None:
    must = "The C++ compiler must compile the fused ops."
    action = (
        "Name a compiler that knows C++17, such as g++ 9 or later, in the environment variable "
        "CXX; plain TensorFlow ops run where MEMCOM_TF_OPS=reference is set."
    )
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMPILE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(message(must, action, compiler=command[0], error=str(error))) from error
    output = Path(command[-1])
    if done.returncode or not output.is_file() or not output.stat().st_size:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["(none)"]
        text = message(must, action, compiler=command[0], exit_status=done.returncode)
        raise BuildError("\n".join([text, "The compiler's last lines:", *lines[-_LINES_SHOWN:]]))


def _flags_of_tensorflow() -> list[str]:
    """TensorFlow's flags; its headers as those of the system, whose warnings are not ours."""
    import tensorflow as tf

    flags: list[str] = []
    for flag in tf.sysconfig.get_compile_flags():
        flags += ["-isystem", flag[2:]] if flag.startswith("-I") else [flag]
    return flags


def _key(sources: Path) -> str:
    import tensorflow as tf

    digest = hashlib.sha256()

    def add(content: bytes) -> None:
        # The length in front keeps neighbours apart.
        digest.update(b"%d:%b" % (len(content), content))

    for path in sorted(sources.rglob("*")):
        if path.suffix in (".cc", ".h", ".def"):
            add(path.relative_to(sources).as_posix().encode())
            add(path.read_bytes())
    # Without the folder of the headers: environments with one TensorFlow share the library.
    own = [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("-I")]
    version = tf.version
    for text in (*_FLAGS, *own, version.VERSION, version.GIT_VERSION, version.COMPILER_VERSION):
        add(text.encode())
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return f"tensorflow-{version.VERSION}-{machine}-{digest.hexdigest()[:16]}"


def _is_private(folder: Path) -> bool:
    """Whether nobody else can put a library there, as loading one runs its code."""
    return _unsafe_folder(folder) is None


def _unsafe_folder(folder: Path) -> Path | None:
    """The first folder on the way to this one that somebody else owns or can write to.

    Who can write to a folder can put another one in the place of what is in it. As `sshd` checks
    the way to a file of keys, of symbolic links too.
    """
    way, links = list(reversed(folder.absolute().parts)), 0
    reached = Path(way.pop())
    while True:
        status = reached.lstat()
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return reached
            way += reversed(Path(os.readlink(reached)).parts)
            reached = reached.parent
        elif not _is_ours(status, is_last=not way):
            return reached
        if not way:
            return None
        # An absolute link starts anew; `..` is one above what was reached, links resolved.
        step = way.pop()
        reached = reached.parent if step == os.pardir else reached / step


def _is_ours(status: os.stat_result, is_last: bool) -> bool:
    # What root put there is as good: an image may be shipped with a cache.
    if status.st_uid not in (os.getuid(), 0):
        return False
    # In a sticky folder, such as /tmp, everybody may add, and only owners may replace.
    if status.st_mode & stat.S_ISVTX and not is_last:
        return True
    if status.st_mode & stat.S_IWOTH:
        return False
    return not status.st_mode & stat.S_IWGRP or (not is_last and _is_own_group(status.st_gid))


def _is_own_group(gid: int) -> bool:
    """Whether it is the group that many systems give to a user alone."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    members = {*group.gr_mem} <= {user.pw_name}
    return gid == user.pw_gid and group.gr_name == user.pw_name and members


def _checksum_path(library: Path) -> Path:
    return library.with_suffix(".sha256")


def _checksum(library: Path) -> bytes:
    return hashlib.sha256(library.read_bytes()).hexdigest().encode()
