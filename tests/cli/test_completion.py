"""`memcom --print-completion`: what a shell completes."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from memcom_tf.cli.main import _parser, main

COMPLETED = """
source "$1"
COMP_WORDS=({words})
COMP_CWORD=$(({number} - 1))
_shtab_memcom
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts():
    """What is printed for each shell, by a process that loads no TensorFlow."""
    code = (
        "import sys; from memcom_tf.cli.main import main\n"
        "try: main(['--print-completion', sys.argv[1]])\n"
        "except SystemExit as end: sys.exit(end.code or 'tensorflow' in sys.modules)"
    )
    found = {}
    for shell in ("bash", "zsh"):
        command = [sys.executable, "-c", code, shell]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        found[shell] = run.stdout
    return found


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_every_command_and_option_is_in_the_script(scripts, shell):
    script = scripts[shell]
    commands = next(action for action in _parser()._actions if action.choices and action.nargs)
    for name, command in commands.choices.items():
        assert name in script
        for option in command._option_string_actions:
            assert option in script, f"{name} {option}"


@pytest.mark.parametrize(
    "words, expected",
    [
        ("memcom sw", {"sweep"}),
        ("memcom sweep --rat", {"--ratios"}),
        ("memcom train --task ''", {"next-item", "click", "text"}),
        ("memcom sweep --methods MEm", {"MEmComEmbedding"}),
        ("memcom inspect log", {"log.csv"}),
    ],
)
def test_bash_completes(scripts, tmp_path, words, expected):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    (tmp_path / "script.sh").write_text(scripts["bash"])
    (tmp_path / "log.csv").touch()
    code = COMPLETED.format(words=words, number=len(words.split()))
    command = ["bash", "-c", code, "bash", "script.sh"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert set(run.stdout.split()) == expected, run.stderr


def test_without_shtab_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 2
    assert 'pip install "memcom_tf[completion]"' in capsys.readouterr().err


def test_another_shell_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--print-completion", "csh"])
    assert "invalid choice: 'csh'" in capsys.readouterr().err
