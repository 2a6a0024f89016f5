"""What MkDocs calls while it builds the site."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_site import notebooks, pages, reference
from docs_site.loads import loads_from_elsewhere

_LOG = logging.getLogger("mkdocs.hooks.docs_site")
_places: dict[str, str] = {}
"""Where each file is on the site that is being built."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what is not in docs/."""
    published = pages.published()
    shown = pages.linked(published)
    _places.clear()
    _places.update({**published, **shown})
    for path, place in published.items():
        if path.endswith(".ipynb"):
            made_of = notebooks.as_page(pages.ROOT / path, run="RUN_NOTEBOOKS" in os.environ)
            for name, content in made_of.items():
                files.append(File.generated(config, f"tutorials/{name}", content=content))
        elif not path.startswith("docs/"):
            source = str(pages.ROOT / path)
            files.append(File.generated(config, place, abs_src_path=source))
    made = {place: pages.as_page(path) for path, place in shown.items()}
    for place, text in {**made, **reference.pages()}.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lets links lead to pages of the site, and commands be shown as such."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]  # which names this page alone
    elif "\n## " not in markdown and "\n::: " not in markdown:
        page.meta["hide"] = ["toc"]  # which would be empty, beside a wide table
    # As `console`, lines without a prompt are shown as output.
    markdown = markdown.replace("```console\n", "```sh\n")
    markdown = pages.with_links_to_layers(markdown)
    for path, place in _places.items():
        if place == page.file.src_uri:
            return pages.with_links_of_the_site(markdown, path, _places)
    return markdown


def on_post_build(config: MkDocsConfig) -> None:
    """Warns, which stops a strict build, of what a page would load from another host."""
    for found in loads_from_elsewhere(Path(config.site_dir)):
        _LOG.warning(found)
