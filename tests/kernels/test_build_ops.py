"""Compiling the C++ ops: once, into the cache, and clear errors where that cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import filelock
import pytest
import tensorflow as tf

from memcom_tf.cli.main import main
from memcom_tf.files import write_atomically
from memcom_tf.kernels import build, selection

ROOT = Path(__file__).parents[2]
TINY_OP = """
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

REGISTER_OP("MemcomTestAnswer").Output("answer: int32");

class Answer : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tensorflow::OpKernelContext* context) override {
    tensorflow::Tensor* answer = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {}, &answer));
    answer->scalar<int>()() = 42;
  }
};
REGISTER_KERNEL_BUILDER(Name("MemcomTestAnswer").Device(tensorflow::DEVICE_CPU), Answer);
"""
# What `build` asks TensorFlow for, without the seconds of importing it.
FAKE_TENSORFLOW = """
class version:
    VERSION, GIT_VERSION, COMPILER_VERSION = "9.9.9", "git", "gcc"
class sysconfig:
    get_compile_flags = staticmethod(lambda: ["-I/headers"])
    get_link_flags = staticmethod(lambda: ["-lfake"])
"""


class Compiler:
    """A script in the place of a compiler, which writes down its arguments."""

    def __init__(self, folder: Path, monkeypatch):
        self._path, self._calls = folder / "compiler", folder / "calls.txt"
        self.does('printf library > "$output"')
        monkeypatch.setenv("CXX", str(self._path))

    def does(self, command: str) -> None:
        lines = (
            'if [ "$1" = --version ]; then echo "Fake C++ 1.0"; exit; fi\n'
            f'echo "$@" >> "{self._calls}"\nfor output; do :; done'
        )
        self._path.write_text(f"#!/bin/sh\n{lines}\n{command}\n")
        self._path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMCOM_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEMCOM_TF_OPS", raising=False)
    monkeypatch.setattr(selection, "_outcome", None)
    monkeypatch.setattr(selection, "_warned", set())
    build._temporary_folder.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def sources(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cc"
    folder.mkdir()
    (folder / "memcom_ops.cc").write_text('#include "kernels.h"\n')
    (folder / "kernels.h").write_text("// kernels\n")
    monkeypatch.setattr(build, "SOURCES", folder)
    return folder


@pytest.fixture
def compiler(tmp_path, monkeypatch) -> Compiler:
    return Compiler(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A folder with the sources of an op, and the cache into which they were compiled."""
    base = tmp_path_factory.getbasetemp()
    # One for all workers of pytest-xdist, of whom `build` lets one compile.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    (folder / "cc").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "cc" / "memcom_ops.cc", TINY_OP.encode())
    with pytest.MonkeyPatch.context() as patch:
        try:
            command = build.find_compiler()
        except build.BuildError as error:
            pytest.skip(str(error))
        # The headers' warnings are not ours: none may reach this.
        patch.setenv("CXX", " ".join([*command, "-Werror"]))
        patch.setenv("MEMCOM_TF_CACHE", str(folder / "cache"))
        build.build(sources=folder / "cc", temporary=False)
    return folder


@pytest.fixture
def tiny_here(tiny, cache, monkeypatch) -> Path:
    """Makes the op's sources those of the package; returns the compiled library."""
    monkeypatch.setenv("MEMCOM_TF_CACHE", str(tiny / "cache"))
    monkeypatch.setattr(build, "SOURCES", tiny / "cc")
    monkeypatch.setenv("CXX", "false")
    return build.library_path()


def test_is_compiled_once_into_a_private_folder_of_the_cache(cache, sources, compiler, capsys):
    path = build.build()
    assert path == build.library_path()
    assert path.read_text() == "library"
    assert path.parent.parent == cache / "ops"
    assert path.parent.name.startswith(f"tensorflow-{tf.__version__}-")
    assert [oct(p.stat().st_mode & 0o777) for p in (path.parent, path.parent.parent)] == [
        "0o700",
        "0o700",
    ]
    (said,) = capsys.readouterr().err.splitlines()
    assert "compiling the C++ ops" in said
    assert build.build() == path
    assert len(compiler.calls) == 1
    assert capsys.readouterr().err == ""
    assert build.build(force=True) == path
    assert len(compiler.calls) == 2
    names = {entry.name for entry in path.parent.iterdir()}
    assert names <= {"memcom_ops.so", "memcom_ops.sha256", ".lock"}


def test_flags(cache, sources, compiler):
    build.build()
    words = compiler.calls[0].split()
    for flag in ("-std=c++17", "-shared", "-fPIC", "-O3", "-Wall", "-Wextra"):
        assert flag in words
    assert words[words.index("-isystem") + 1] == tf.sysconfig.get_include()
    assert str(sources / "memcom_ops.cc") in words
    assert words.index(str(sources / "memcom_ops.cc")) < words.index(
        tf.sysconfig.get_link_flags()[0]
    )
    assert not [word for word in words if word.startswith(("-I", "-march", "-ffast", "-Ofast"))]


def test_which_compiler(tmp_path, monkeypatch):
    for name in ("c++", "clang++", "g++", "ccache"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "ccache clang++")
    assert build.find_compiler() == ["ccache", "clang++"]
    monkeypatch.setenv("CXX", "")
    for name in ("g++", "clang++", "c++"):
        assert build.find_compiler() == [name]
        (tmp_path / name).unlink()
    with pytest.raises(build.BuildError, match=r"must be on PATH.*g\+\+, clang\+\+, c\+\+.*CXX"):
        build.find_compiler()
    monkeypatch.setenv("CXX", "icpx -fast")
    with pytest.raises(build.BuildError, match=r"CXX must name a compiler.*CXX='icpx -fast'"):
        build.find_compiler()


def test_without_a_compiler_what_is_in_the_cache_serves(cache, sources, compiler, monkeypatch):
    path = build.build()
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert build.build() == path
    with pytest.raises(build.BuildError, match="no-such-compiler"):
        build.build(force=True)
    assert build.build() == path


def test_a_compiler_that_fails_is_quoted(cache, sources, compiler):
    compiler.does('for i in $(seq 30); do echo line $i >&2; done; printf half > "$output"; exit 3')
    with pytest.raises(build.BuildError) as caught:
        build.build()
    first, _, *lines = str(caught.value).splitlines()
    assert lines == [f"line {i}" for i in range(11, 31)]
    assert "must compile" in first
    assert "exit_status=3" in first
    assert "CXX" in first
    assert not build.is_built(build.library_path())
    assert [entry.name for entry in build.library_path().parent.iterdir()] in ([], [".lock"])
    compiler.does('printf library > "$output"')
    assert build.build().read_text() == "library"


@pytest.mark.parametrize("command", ["true", ': > "$output"'])
def test_a_compiler_that_writes_nothing_has_failed(cache, sources, compiler, command):
    compiler.does(command)
    with pytest.raises(build.BuildError, match=r"exit_status=0.*\n.*\n\(none\)"):
        build.build()


def test_a_compiler_that_does_not_end(cache, sources, compiler, monkeypatch):
    compiler.does("exec sleep 60")
    monkeypatch.setattr(build, "_COMPILE_SECONDS", 0.1)
    with pytest.raises(build.BuildError, match="timed out"):
        build.build()


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "gone", "no checksum"])
def test_a_damaged_library_is_compiled_anew_once(cache, sources, compiler, damage):
    path = build.build()
    if damage == "gone":
        path.unlink()
    elif damage == "no checksum":
        path.with_suffix(".sha256").unlink()
    else:
        path.write_bytes({"truncated": b"libr", "empty": b"", "garbage": b"yrarbil"}[damage])
    assert not build.is_built(path)
    assert build.build() == build.build() == path
    assert path.read_text() == "library"
    assert len(compiler.calls) == 2


def test_what_the_library_depends_on(cache, sources, monkeypatch):
    paths = [build.library_path()]

    def note() -> None:
        paths.append(build.library_path())

    (sources / "kernels.h").write_text("// other kernels\n")
    note()
    (sources / "kernels.h").rename(sources / "kern.h")
    note()
    for name in ("VERSION", "GIT_VERSION", "COMPILER_VERSION"):
        monkeypatch.setattr(tf.version, name, "2.99.0")
        note()
    assert "2.99.0" in paths[-1].parent.name
    monkeypatch.setattr(build.platform, "machine", lambda: "aarch64")
    note()
    monkeypatch.setattr(build, "_FLAGS", (*build._FLAGS, "-O1"))
    note()
    monkeypatch.setattr(tf.sysconfig, "get_compile_flags", lambda: ["-I/a", "-DABI=0"])
    note()
    assert len(set(paths)) == len(paths)
    (sources / "notes.txt").write_text("not compiled")
    monkeypatch.setattr(tf.sysconfig, "get_compile_flags", lambda: ["-I/b", "-DABI=0"])
    assert build.library_path() == paths[-1]


def test_where_the_cache_is(monkeypatch):
    import platformdirs

    monkeypatch.delenv("MEMCOM_TF_CACHE", raising=False)
    assert platformdirs.user_cache_path("memcom_tf") in build.library_path().parents
    monkeypatch.setenv("MEMCOM_TF_CACHE", "~/here")
    assert Path.home() / "here" / "ops" in build.library_path().parents
    monkeypatch.setenv("MEMCOM_TF_CACHE", "here")
    assert Path.cwd() / "here" / "ops" in build.library_path().parents


def test_missing_sources(cache, sources):
    (sources / "memcom_ops.cc").unlink()
    with pytest.raises(build.BuildError, match=r"must hold memcom_ops.cc.*Install memcom_tf anew"):
        build.build()


def test_a_cache_that_cannot_be_written(cache, sources, compiler):
    # Not by its permissions: root, who often runs tests, may write everywhere.
    cache.write_text("a file in the place of a folder")
    with pytest.warns(RuntimeWarning, match="for this process alone.*MEMCOM_TF_CACHE") as warned:
        path = build.build()
    assert len(warned) == 1
    assert str(cache) in str(warned[0].message)
    assert path.read_text() == "library"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build.build() == path
    assert len(compiler.calls) == 1
    with pytest.raises(build.BuildError, match=r"The cache must be.*MEMCOM_TF_CACHE"):
        build.build(temporary=False)


def test_no_folder_can_be_written(cache, sources, compiler, monkeypatch):
    cache.write_text("a file in the place of a folder")
    monkeypatch.setattr(build.tempfile, "tempdir", str(cache))
    with pytest.raises(build.BuildError, match="temporary files must be writable"):
        build.build()


def test_a_library_that_others_could_have_put_there_is_not_loaded(cache, sources, compiler):
    planted = build.build()
    planted.parent.chmod(0o770)
    assert not build.is_built(planted)
    with pytest.warns(RuntimeWarning, match="somebody else"):
        assert build.build() != planted
    with pytest.raises(build.BuildError, match="only you"):
        build.build(temporary=False)


def test_a_system_without_file_locks(cache, sources, compiler, monkeypatch):
    def refuse(lock, *args, **kwargs):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(build.BuildError, match="does not appear to support flock"):
        build.build(temporary=False)


def test_a_lock_that_is_never_freed(cache, sources, compiler, monkeypatch):
    path = build.build()
    monkeypatch.setattr(build, "_LOCK_SECONDS", 0.05)
    with (
        filelock.FileLock(path.parent / ".lock"),
        pytest.raises(build.BuildError, match=r"free within 0.05 seconds.*\.lock.*end that one"),
    ):
        build.build(force=True)
    assert len(compiler.calls) == 1


def process(folder: Path, code: str) -> subprocess.Popen[str]:
    (folder / "tensorflow.py").write_text(FAKE_TENSORFLOW)
    return subprocess.Popen(
        [sys.executable, "-c", f"from memcom_tf.kernels import build\n{code}"],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_processes_compile_once(cache, sources, compiler, tmp_path):
    # The first compiler to run waits for both processes, and then lets the other one get far.
    compiler.does(
        f'while [ "$(ls "{tmp_path}" | grep -c ready)" -lt 2 ]; do sleep 0.02; done; sleep 0.5\n'
        'printf library > "$output"'
    )
    code = (
        "import pathlib; folder, sources, name = map(pathlib.Path, ({!r}, {!r}, {!r}))\n"
        "(folder / name).touch(); print(build.build(sources=sources))"
    )
    pair = [
        process(tmp_path, code.format(str(tmp_path), str(sources), f"ready{number}"))
        for number in range(2)
    ]
    told = [child.communicate(timeout=60) for child in pair]
    assert [child.returncode for child in pair] == [0, 0], told
    assert told[0][0] == told[1][0] != ""
    assert len(compiler.calls) == 1
    assert sorted("compiling" in errors for _, errors in told) == [False, True]


def test_what_is_compiled_for_one_process_goes_with_it(cache, sources, compiler, tmp_path):
    cache.write_text("a file in the place of a folder")
    code = f"import pathlib; print(build.build(sources=pathlib.Path({str(sources)!r})).parents[2])"
    output, errors = process(tmp_path, code).communicate(timeout=60)
    assert "RuntimeWarning" in errors
    folder = Path(output.strip())
    assert folder.name.startswith("memcom_tf-")
    assert not folder.exists()


def test_a_real_op_is_compiled_and_loaded(tiny_here):
    with selection.use("native"):
        library = selection.library()
    assert library is selection.library()
    assert int(library.memcom_test_answer()) == 42


def test_a_library_that_does_not_load_is_compiled_anew(
    cache, tiny, compiler, tmp_path, monkeypatch
):
    """The checksum fits, and yet the loader refuses it: it was built on another machine."""
    monkeypatch.setattr(build, "SOURCES", tiny / "cc")
    compiler.does('printf "not for this machine" > "$output"')
    path = build.build()
    real = next((tiny / "cache").rglob("memcom_ops.so"))
    compiler.does(f'cp "{real}" "$output"')
    assert selection.library() is not None
    assert len(compiler.calls) == 2
    assert path.read_bytes() == real.read_bytes()


def test_a_library_that_never_loads(cache, sources, compiler):
    with pytest.warns(RuntimeWarning, match="memcom doctor") as warned:
        assert selection.library() is None
        assert selection.library() is None
    assert len(warned) == 1
    assert len(compiler.calls) == 2
    with selection.use("native"), pytest.raises(RuntimeError, match=r"memcom_ops\.so"):
        selection.library()
    assert len(compiler.calls) == 2


def test_memcom_build_ops(tiny_here, capsys):
    assert main(["build-ops"]) == 0
    path, seconds = capsys.readouterr().out.rsplit(" (", 1)
    assert path == str(tiny_here)
    assert seconds.endswith(" s)\n")


def test_memcom_build_ops_forced(cache, sources, compiler, capsys):
    """What was compiled must load too."""
    assert main(["build-ops"]) == 1
    calls = len(compiler.calls)
    assert main(["build-ops", "--force"]) == 1
    assert len(compiler.calls) == calls + 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert "memcom: error: The fused ops must be there" in errors


def test_memcom_build_ops_says_what_the_compiler_said(cache, sources, compiler, capsys):
    compiler.does("echo 'kernels.h:1: error: [nonsense]' >&2; exit 1")
    assert main(["build-ops"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "kernels.h:1: error: [nonsense]"
    assert [line for line in lines if line.startswith("memcom: error: The C++ compiler must")]


def test_memcom_build_ops_needs_the_cache(cache, sources, compiler, capsys):
    cache.write_text("a file in the place of a folder")
    assert main(["build-ops"]) == 1
    assert "MEMCOM_TF_CACHE" in capsys.readouterr().err
    assert not compiler.calls


def doctor(capsys, code: int = 0) -> dict[str, object]:
    assert main(["doctor", "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_memcom_doctor(tiny_here, capsys, monkeypatch):
    said = doctor(capsys)
    assert said["implementation"] == "native"
    assert said["built"] is True
    assert said["library"] == str(tiny_here)
    assert said["action"] == "nothing to do"
    assert (said["mode"], said["mode_from"]) == ("auto", "default")
    assert said["tensorflow"] == tf.__version__
    assert said["python"].split(".") == list(map(str, sys.version_info[:3]))
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    for name, value in said.items():
        shown = {True: "yes"}.get(value, value)
        assert name == "implementation" or f"{name.replace('_', ' ')} " in output
        assert str(shown) in output


def test_memcom_doctor_where_nothing_can_be_built(cache, sources, compiler, capsys, monkeypatch):
    compiler.does('echo "[no] good" >&2; false')
    said = doctor(capsys)
    assert said["implementation"] == "reference"
    assert said["built"] is False
    assert "[no] good" in said["reason"]
    assert "memcom build-ops" in said["action"]
    assert said["compiler"] == os.environ["CXX"]
    assert said["compiler_version"] == "Fake C++ 1.0"
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["doctor"]) == 0
    assert "[no] good" in capsys.readouterr().out
    monkeypatch.setenv("MEMCOM_TF_OPS", "native")
    said = doctor(capsys, code=1)
    assert (said["implementation"], said["mode_from"]) == ("none", "MEMCOM_TF_OPS")
    monkeypatch.setenv("CXX", "no-such-compiler")
    said = doctor(capsys, code=1)
    assert said["compiler"] == "none"
    assert "no-such-compiler" in said["compiler_version"]


def test_memcom_doctor_builds_nothing_where_nothing_is_wanted(
    cache, sources, compiler, capsys, monkeypatch
):
    monkeypatch.setenv("MEMCOM_TF_OPS", "reference")
    said = doctor(capsys)
    assert said["implementation"] == "reference"
    assert said["reason"] == "asked for by MEMCOM_TF_OPS"
    assert said["built"] is False
    assert compiler.calls == []
    monkeypatch.setenv("MEMCOM_TF_OPS", "fast")
    assert main(["doctor"]) == 2
    assert "MEMCOM_TF_OPS='fast'" in capsys.readouterr().err


def test_memcom_doctor_without_rich(tiny_here, capsys, monkeypatch):
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "rich" else find_spec(name, *a),
    )
    assert main(["doctor"]) == 0
    assert json.loads(capsys.readouterr().out)["implementation"] == "native"


def private(path):
    path.mkdir(parents=True, mode=0o700)
    path.chmod(0o700)
    return path


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_a_cache_below_somebody_elses_folder_is_refused(levels, tmp_path):
    top = private(tmp_path / "top")
    cache = private(top.joinpath(*map(str, range(levels))) / "cache")
    assert build._unsafe_folder(cache) is None
    os.chown(top, 65534, 65534)
    assert build._unsafe_folder(cache) == top


@pytest.mark.parametrize(("mode", "is_safe"), [(0o755, 1), (0o777, 0), (0o757, 0), (0o1777, 1)])
def test_a_cache_below_a_folder_that_all_can_write_to_is_refused(mode, is_safe, tmp_path):
    """Unless it is sticky, as /tmp: then only owners replace what is in it."""
    top = private(tmp_path / "top")
    cache = private(top / "a" / "cache")
    top.chmod(mode)
    assert (build._unsafe_folder(cache) is None) == bool(is_safe)


def test_the_cache_itself_must_not_be_open_to_a_group(tmp_path):
    cache = private(tmp_path / "cache")
    cache.chmod(0o770)
    assert build._unsafe_folder(cache) == cache


def test_folders_of_links_on_the_way_are_checked(tmp_path):
    cache = private(tmp_path / "own" / "cache")
    open_to_all = private(tmp_path / "open")
    (open_to_all / "link").symlink_to(cache)
    (private(tmp_path / "b") / "first").symlink_to(os.path.join("..", "open", "link"))
    open_to_all.chmod(0o777)
    assert build._unsafe_folder(tmp_path / "b" / "first") == open_to_all
    open_to_all.chmod(0o755)
    assert build._unsafe_folder(tmp_path / "b" / "first") is None
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert build._unsafe_folder(tmp_path / "loop") is not None
