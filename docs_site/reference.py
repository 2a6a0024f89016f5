"""The pages of the reference: public names of packages, and the commands."""

from __future__ import annotations

import argparse
import ast
import json
import re
import textwrap
from functools import partial

from docs_site.pages import ROOT
from memcom_tf.cli.main import _parser

PACKAGES = (
    "memcom_tf",
    *(
        f"memcom_tf.{name}"
        for name in (
            *("layers", "models", "training", "compression", "converters", "evaluation"),
            *("ordering", "sweeps", "data", "datasets", "features", "optimizers"),
            *("vocabulary", "tasks"),
        )
    ),
)
_CONTRACT = "CompressedEmbedding"
"""What all layers have in common: it comes first, with what it inherits."""
_INHERITED: dict[str, bool | list[str]] = {
    "memcom_tf.layers": ["from_codes"],
    "memcom_tf.models": True,
    "memcom_tf.vocabulary": True,
}
"""What is shown of base classes that have no page of their own."""
_MARKUP = re.compile(r"(`[^`]*`)|([*<_\[\]])")


def pages() -> dict[str, str]:
    """The Markdown of each page of the reference, by its place on the site."""
    made = {f"reference/{package}.md": _page(package) for package in PACKAGES}
    return {**made, "reference/command_line.md": _command_line()}


def public_names(package: str) -> list[str]:
    """What `__all__` of a package names, read without importing it."""
    for statement in _tree(package).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return list(ast.literal_eval(statement.value))
    raise ValueError(f"a public package must have `__all__`. Received: package={package!r}.")


def _tree(package: str) -> ast.Module:
    return ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())


def _page(package: str) -> str:
    if package == "memcom_tf":
        return _page_of_shortcuts()
    text = f"# {package}\n\n{ast.get_docstring(_tree(package))}\n\n"
    for name in sorted(public_names(package), key=lambda name: name != _CONTRACT):
        inherited = name == _CONTRACT or _INHERITED.get(package, False)
        text += f"::: {package}.{name}\n    options:\n"
        text += f"      inherited_members: {json.dumps(inherited)}\n\n"
    return text


def _page_of_shortcuts() -> str:
    """What can be imported from `memcom_tf` itself; each name is documented in its package."""
    homes = {
        alias.name: node.module
        for node in ast.walk(_tree("memcom_tf"))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    text = f"# memcom_tf\n\n{ast.get_docstring(_tree('memcom_tf'))}\n\n"
    text += "| `from memcom_tf import` | documented in |\n|---|---|\n"
    for name in public_names("memcom_tf"):
        home = homes[name]
        if home in PACKAGES:
            text += f"| [`{name}`][{home}.{name}] | [{home}]({home}.md) |\n"
        else:
            text += f"| `{name}` | the version of the package |\n"
    return text


def _command_line() -> str:
    parser = _parser()
    text = f"# Command line\n\n{parser.description}\n\n"
    commands = next(
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    said = {action.dest: action.help for action in commands._choices_actions}
    for name, command in commands.choices.items():
        text += f"## memcom {name}\n\n{_sentence(said[name])}\n\n{_usage(command)}"
        for action in command._actions:
            if not isinstance(action, argparse._HelpAction):
                text += _option(action, command.prog)
    return text


def _usage(command: argparse.ArgumentParser) -> str:
    command.formatter_class = partial(argparse.HelpFormatter, width=64)
    usage = textwrap.dedent(command.format_usage().removeprefix("usage: ")).strip()
    return f"```text\n{usage}\n```\n\n"


def _option(action: argparse.Action, program: str) -> str:
    called = argparse.HelpFormatter(program)._format_action_invocation(action)
    text = action.help or ("required" if action.required else f"{action.default} by default")
    return f"`{called}`\n:   {_sentence(text)}\n\n"


def _sentence(text: str) -> str:
    """A help text as a sentence, in which nothing but code is markup."""
    plain = _MARKUP.sub(lambda found: found[1] or f"\\{found[2]}", text.rstrip("."))
    return f"{plain[0].upper()}{plain[1:]}."
