"""Logs on the command line: what is said of them, and refusals in the words of its options."""

from types import SimpleNamespace

import numpy as np
import pytest

from memcom_tf import Vocabulary
from memcom_tf.cli import commands, log_options
from memcom_tf.cli import main as cli
from memcom_tf.cli.main import main
from tests.datasets.test_hostile_logs import HOSTILE_ARRAYS

PYTHON = ("`user`", "`item`", "`time`", "`history_length`", '="', "Interactions", "pandas")


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The refusal of a command line, after all lines that it begins with."""
    monkeypatch.chdir(tmp_path)

    def run(words):
        capsys.readouterr()
        assert main(words.split()) == 2
        out, error = capsys.readouterr()
        assert out == "" and "Traceback" not in error
        assert not list(tmp_path.glob("*.keras"))
        return [line for line in error.splitlines() if line.startswith("memcom:")]

    return run


def log(tmp_path, names, rows=("1,2,5", "1,3,4"), name="log.csv"):
    (tmp_path / name).write_text("\n".join([names, *rows]) + "\n")


REFUSED = {
    "a column that is not there": (
        "buyer,item,time",
        "--user customer",
        "name those with `--user`, `--item` and `--time`.",
    ),
    "two times": (
        "user,item,date,timestamp",
        "",
        "which: `--time date` or `--time timestamp`.",
    ),
    "one column twice": ("user,item,time", "--time item", "with `--user`, `--item` or"),
    "no date": ("user,item,date", "", "line=2, value='yesterday'"),
    "no history": ("user,item,time", "--history-length 0 --no-time", "`--history-length` must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_names_options(tmp_path, refused, case):
    names, words, expected = REFUSED[case]
    width = names.count(",") + 1
    row = ["1", "2", "yesterday" if case == "no date" else "5", "6"][:width]
    log(tmp_path, names, [",".join(row)])
    lines = refused(f"train log.csv -o model.keras --epochs 1 {words}")
    assert expected in lines[-1] and " must " in lines[-1]
    assert not [word for word in PYTHON if word in lines[-1]]


def test_time_is_named_or_refused(capsys):
    for words in ("train log.csv -o m.keras --time t --no-time",):
        with pytest.raises(SystemExit) as stopped:
            main(words.split())
        assert stopped.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def options(words):
    return cli._parser().parse_args(words.split())


@pytest.mark.parametrize(
    ("words", "said", "times"),
    [
        ("", "time from `timestamp`", [9, 7]),
        ("--time movieId", "time from `movieId`", [5, 4]),
        ("--no-time", "`movieId`; the order of the rows counts as time", None),
    ],
)
def test_the_reading_is_said(tmp_path, monkeypatch, capsys, words, said, times):
    monkeypatch.chdir(tmp_path)
    log(tmp_path, "userId,movieId,rating,timestamp", ["1,5,3.5,9", "1,4,4.0,7"])
    item = "rating" if "--time m" in words else "movieId"
    words = f"train log.csv -o m.keras --user userId --item {item} {words}"
    interactions, _ = log_options.read(options(words))
    error = capsys.readouterr().err
    assert error.startswith("memcom: reading users from `userId`, items from ") and said in error
    assert error.count("\n") == 1
    assert (None if times is None else interactions.time.tolist()) == times


def test_new_items_of_a_later_log(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [f"{user},{item},{item}" for user in range(3) for item in range(1, 7)]
    log(tmp_path, "user,item,time", rows)
    words = "compress m.keras log.csv -o m.tflite --ratio 2"

    def split(new_items, policy):
        model = SimpleNamespace(
            history_length=4, vocabulary=Vocabulary(range(1, 6), out_of_vocabulary=policy)
        )
        chosen = options(f"{words} {new_items}")
        with cli.at_command_line():
            return log_options.split(chosen, log_options.read(chosen), model)

    assert len(split("--new-items drop", "error").validation) == 3
    assert "memcom: 3 of 18 interactions are left out" in capsys.readouterr().err
    with pytest.raises(ValueError, match="with `--new-items drop`") as caught:
        split("", "error")
    assert "new_items" not in str(caught.value) and "out_of_vocabulary" not in str(caught.value)
    with pytest.raises(ValueError, match=r"must have a shared id.*`--new-items drop`"):
        split("--new-items share", "drop")
    capsys.readouterr()
    split("--new-items share", "share")
    assert "3 of 18 interactions are with the id that new items share" in capsys.readouterr().err


@pytest.mark.long
def test_a_model_of_before_and_a_log_of_later(tmp_path, monkeypatch, capsys):
    """From one log to a model, from a later one to a smaller file."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    old = [f"{u},{item},{t}" for u in range(60) for t, item in enumerate(rng.permutation(200)[:12])]
    log(tmp_path, "user,item,time", old, "old.csv")
    log(tmp_path, "user,item,time", [*old, *(f"{u},B{u % 7},99" for u in range(20))], "new.csv")
    words = "--epochs 1 --width 32 --history-length 5"
    assert main(f"train old.csv -o old.keras {words}".split()) == 0
    compress = "compress old.keras new.csv -o new.tflite --ratio 2 --epochs 1"
    assert main(compress.split()) == 2
    assert "--new-items drop" in capsys.readouterr().err
    assert main(f"{compress} --new-items drop".split()) == 0
    assert "20 of 740 interactions are left out" in capsys.readouterr().err
    assert (tmp_path / "new.tflite").is_file()


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"history": [[1, 2]]}, "it must hold 'target' once"),
        ({"history": [[1.7, 2]], "target": [1]}, "history='float64 [1, 2]'"),
        ({"history": [[1, 2]], "target": 1}, "target='int64 []'"),
        ({"history": [[1, 2]], "target": np.array([1, "a"], object)}, "type object"),
        ({"history": [[1, 2]], "target": [1j]}, "type complex128"),
        ({"history": [1, 2], "target": [1, 2]}, "integers [n, L] and [n] or [n, P]"),
        ({"history": [[1, 2]], "target": [1, 2]}, "integers [n, L] and [n] or [n, P]"),
    ],
)
def test_examples_that_are_refused(tmp_path, arrays, expected):
    path = tmp_path / "examples.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=" must ") as caught:
        commands.load_examples(path, None)
    assert expected in str(caught.value)


@pytest.mark.parametrize("case", HOSTILE_ARRAYS)
def test_hostile_examples(tmp_path, case):
    """Archives that are refused as logs are refused, or are no examples."""
    path = tmp_path / "examples.npz"
    path.write_bytes(HOSTILE_ARRAYS[case].replace(b"user.npy", b"history.npy"))
    with pytest.raises(ValueError, match=r"must be an \.npz file of `history` and `target`"):
        commands.load_examples(path, None)


def test_titles_are_read_and_what_is_called_test_can_be_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = ["u1,5,Five,a,B,2020-01-02", "u1,7,Seven,b,A,2020-01-01T10:00:00"]
    log(tmp_path, "userId,movieId,title,genres,test,date", rows)
    words = "train log.csv -o m.keras --no-test --detail genre=genres"
    interactions, is_test = log_options.read(options(words))
    assert is_test is None and interactions.time[0] > interactions.time[1]
    assert interactions.details == {
        "title": {5: "Five", 7: "Seven"},
        "genre": {5: "a", 7: "b"},
    }
    said = "time from `date`, title from `title`, genre from `genres`; not read: `test`"
    assert said in capsys.readouterr().err
    interactions, _ = log_options.read(options("train log.csv -o m.keras --no-test --no-title"))
    assert interactions.details == {}
    assert main(["train", "log.csv", "-o", "m.keras"]) == 2
    assert "value='B'" in (error := capsys.readouterr().err)
    assert error.endswith("Say --no-test where that column is something else.\n")
    assert main(["train", "log.csv", "-o", "m.keras", "--detail", "=x"]) == 2
    assert "Each of `--detail` must be NAME=COLUMN" in capsys.readouterr().err
