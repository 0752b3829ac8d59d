"""What mkdocs does beside its plugins (mkdocs.yml): pages that are not Markdown of docs/; broken tables are errors."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown import Extension, Markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[1]
SHOWN = {
    "README.md": "guide.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the repository's root and their names on the site."""

log = logging.getLogger("mkdocs.hooks.nglab")


class Subscripts(Extension):
    """An underscore is one: Λ̃_i x_i is no emphasis, which asterisks give."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.delimiters.remove("_")


def on_config(config: MkDocsConfig) -> None:
    config.markdown_extensions.append(Subscripts())


def on_files(files: Files, config: MkDocsConfig) -> None:
    """The repository's own pages and the notebooks become pages of the site."""
    for source, name in SHOWN.items():
        text = (ROOT / source).read_text().replace("](docs/", "](")
        files.append(File.generated(config, name, content=renamed(text, "", "")))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        for file in pages_of(notebook, config):
            files.append(file)


def pages_of(notebook: File, config: MkDocsConfig) -> Iterator[File]:
    """A page, and beside it the pictures that are its outputs."""
    exporter = MarkdownExporter()
    text, resources = exporter.from_filename(str(notebook.abs_src_path))
    stem = notebook.src_uri.removesuffix(".ipynb")
    yield File.generated(config, f"{stem}.md", content=text.replace("![png](", f"![]({stem}_"))
    for name, picture in resources["outputs"].items():
        yield File.generated(config, f"{stem}_{name}", content=picture)


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links lead to where the site has these pages."""
    up = "../" * page.file.src_uri.count("/")
    return renamed(markdown, f"../{up}", up).replace(".ipynb)", ".md)")


def renamed(text: str, before: str, after: str) -> str:
    for source, name in SHOWN.items():
        text = text.replace(f"]({before}{source}", f"]({after}{name}")
    return text


def on_page_content(html: str, page: Page, **_: Any) -> None:
    """A table or a list that reads as text has no empty line before it."""
    for paragraph in re.findall("<p>(.*?)</p>", html, re.DOTALL):
        for line in re.findall(r"^(?:\||- ).*", paragraph, re.MULTILINE):
            log.warning("%s: needs an empty line before it: %s", page.file.src_uri, line)
