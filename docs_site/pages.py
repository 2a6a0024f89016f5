"""Which file of the repository is which page of the site, and where its links lead there."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

_BY_NAME = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CODE_OF_CONDUCT.md": "project/code_of_conduct.md",
    "CHANGELOG.md": "project/changelog.md",
    "android_demo/README.md": "android_demo.md",
    "converters/PROOF.md": "reference/proof.md",
    "converters/VOCABULARY_FORMAT.md": "reference/vocabulary_format.md",
    "docs_site/site.css": "assets/site.css",
}
_BY_PATTERN = {
    "docs/*.md": "{name}.md",
    "docs/tutorials/*.ipynb": "tutorials/{name}.md",
    "memcom_tf/layers/*/README.md": "methods/{folder}.md",
    "benchmarks/results/*.md": "results/{name}.md",
    "benchmarks/results/*.png": "results/{name}.png",
}
# Code comes first: what looks like a link in it is none.
_LINK = re.compile(r"```.*?```|`[^`\n]+`|\]\((?P<target>[^)\s]+)\)", re.DOTALL)
_LAYER = re.compile(r"^\| (`(\w+Embedding)`) \|", re.MULTILINE)
_LANGUAGES = {".py": "python", ".json": "json"}


def published() -> dict[str, str]:
    """The files that are pages or pictures of the site, and where they are there."""
    found = dict(_BY_NAME)
    for pattern, place in _BY_PATTERN.items():
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            found[name] = place.format(name=path.stem, folder=path.parent.name)
    return found


def linked(pages: dict[str, str]) -> dict[str, str]:
    """The files of code that pages link to, each of which gets a page that shows it."""
    found = {}
    for page in pages:
        if page.endswith(".md"):
            for link in _LINK.finditer((ROOT / page).read_text()):
                path = _path_of(page, link["target"])
                if path and path not in pages and (ROOT / path).is_file():
                    found[path] = f"files/{path}.md"
    return found


def as_page(path: str) -> str:
    """A page that shows a file of code."""
    language = _LANGUAGES.get(Path(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{(ROOT / path).read_text().rstrip()}\n````\n"


def with_links_of_the_site(text: str, path: str, pages: dict[str, str]) -> str:
    """The text of the file at `path`, whose links lead from page to page of the site."""
    folder = posixpath.dirname(pages[path])

    def rewritten(link: re.Match[str]) -> str:
        target = pages.get(_path_of(path, link["target"]))
        if target is None:
            return link[0]
        anchor = link["target"].partition("#")[1:]
        return f"]({posixpath.relpath(target, folder or '.')}{''.join(anchor)})"

    return _LINK.sub(rewritten, text)


def with_links_to_layers(text: str) -> str:
    """The text, where the layer of each row of a table leads to its reference."""
    return _LAYER.sub(r"| [\1][memcom_tf.layers.\2] |", text)


def _path_of(page: str, target: str | None) -> str:
    """The file that a link of a page leads to; of links to elsewhere, nothing."""
    if not target or target.startswith(("http:", "https:", "mailto:", "#")):
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition("#")[0]))
