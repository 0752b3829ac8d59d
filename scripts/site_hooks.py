"""What mkdocs does beside its plugins (mkdocs.yml): the repository's own pages are shown, broken tables are errors."""

import logging
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SHOWN = {
    "README.md": "guide.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the repository's root and their names on the site."""

log = logging.getLogger("mkdocs.hooks.nglab")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Pages beside docs/ are pages of the site, their links as they are from within."""
    for source, name in SHOWN.items():
        text = (ROOT / source).read_text().replace("](docs/", "](")
        files.append(File.generated(config, name, content=renamed(text, "", "")))


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to pages beside docs/ lead to where the site has them."""
    up = "../" * page.file.src_uri.count("/")
    return renamed(markdown, f"../{up}", up)


def renamed(text: str, before: str, after: str) -> str:
    for source, name in SHOWN.items():
        text = text.replace(f"]({before}{source}", f"]({after}{name}")
    return text


def on_page_content(html: str, page: Page, **_: Any) -> None:
    """A table or a list that reads as text has no empty line before it."""
    for paragraph in re.findall("<p>(.*?)</p>", html, re.DOTALL):
        for line in re.findall(r"^(?:\||- ).*", paragraph, re.MULTILINE):
            log.warning("%s: needs an empty line before it: %s", page.file.src_uri, line)
