"""Files that are there whole or not at all, and models among them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from memcom_tf import FullEmbedding, save_model
from memcom_tf._keras import keras
from memcom_tf.files import _machine, check_writable, replacing, write_atomically


def small_model(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((3,), dtype="int32"), FullEmbedding(20, 4)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_a_file_is_replaced_with_its_mode_and_behind_its_link(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.txt", tmp_path / "link.txt"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_an_error_of_writing_names_the_file_and_leaves_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with (
        pytest.raises(OSError, match=r"No space left.*a\.txt") as caught,
        replacing(path) as beside,
    ):
        beside.write_bytes(b"ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert names(tmp_path) == ["a.txt"] and path.read_bytes() == b"old"


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    here = _machine()
    abandoned = [f".a.txt.{here}-{dead_process()}-0123.tmp.txt", ".a.txt.elsewhere-1-0123.tmp.txt"]
    kept = [
        f".a.txt.{here}-{os.getpid()}-0123.tmp.txt",  # of a thread of ours
        ".a.txt.elsewhere-1-4567.tmp.txt",  # young
        f".b.txt.{here}-{dead_process()}-0123.tmp.txt",  # of another file
        ".a.txt.notes",
    ]
    for name in abandoned + kept:
        (tmp_path / name).touch()
    old = time.time() - 3 * 24 * 3600
    os.utime(tmp_path / abandoned[1], (old, old))
    write_atomically(tmp_path / "a.txt", b"new")
    assert names(tmp_path) == sorted([*kept, "a.txt"])


def test_nothing_takes_the_place_of_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, b"text")
        assert os.read(reader, 10) == b"text"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(OSError, match="must be a file"), replacing(pipe):
        pass
    assert names(tmp_path) == ["pipe"]


def test_a_place_is_checked_before_there_is_something_to_lose(tmp_path):
    check_writable(tmp_path / "a.keras", 1000)
    assert names(tmp_path) == []
    with pytest.raises(OSError, match=r"must be room.*a\.keras.*bytes_needed"):
        check_writable(tmp_path / "a.keras", 2**62)
    with pytest.raises(OSError, match=r"a\.keras"):
        check_writable(tmp_path / "none" / "a.keras")


def test_a_saved_model_is_keras_own(tmp_path):
    model, path = small_model(), tmp_path / "model.keras"
    model.compile("adam", "mse")
    model.fit(np.ones((8, 3), np.int32), np.ones((8, 3, 4)), verbose=0)
    save_model(model, path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded(np.arange(3)[None]), model(np.arange(3)[None]))
    assert names(tmp_path) == ["model.keras"]
    assert len(list(loaded.optimizer.variables)) == len(list(model.optimizer.variables))


def test_a_model_is_refused_where_it_would_be_lost(tmp_path):
    model, path = small_model(), tmp_path / "model.keras"
    with pytest.raises(ValueError, match=r"must end in `\.keras`"):
        save_model(model, tmp_path / "model.h5")
    save_model(model, path)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save_model(model, path, overwrite=False)
    save_model(small_model(1), path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.get_weights()[0], small_model(1).get_weights()[0])


KILLED = """
import os, signal, sys
from memcom_tf import save_model
from tests.datasets.test_files import small_model

class Dies:
    def save(self, path):
        small_model(1).save(path)
        with open(path, "r+b") as file:
            file.truncate(100)
        os.kill(os.getpid(), signal.SIGKILL)

save_model(Dies(), sys.argv[1])
"""


def test_a_process_that_is_killed_leaves_the_old_model(tmp_path):
    path = tmp_path / "model.keras"
    save_model(small_model(), path)
    before = path.read_bytes()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", KILLED, path], env=environment, check=False)
    assert done.returncode == -9 and path.read_bytes() == before
    assert len(names(tmp_path)) == 2
    save_model(small_model(2), path)
    assert names(tmp_path) == ["model.keras"]


def test_a_full_disk_leaves_the_old_model(tmp_path):
    path = tmp_path / "model.keras"
    save_model(small_model(), path)
    before = path.read_bytes()
    resource = pytest.importorskip("resource")
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, kept[1]))
    try:
        with pytest.raises(OSError, match=r"model\.keras"):
            save_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(5000)]), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert path.read_bytes() == before and names(tmp_path) == ["model.keras"]
