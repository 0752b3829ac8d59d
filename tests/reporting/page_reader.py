"""A report as a browser without scripts has it: its tables, its text, its data."""

import json
from html.parser import HTMLParser
from typing import Any

EMPTY = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """`tables`: id → rows of cells, the head first; `data`: what the script draws; `text`: what can be read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.sections: dict[str, str] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.feed(html)
        assert not self.open, self.open
        self.data: Any = json.loads(self.scripts[0])

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        own = dict(attributes)
        self.elements.append((tag, own))
        if tag == "table":
            self.rows = self.tables[own["id"] or ""] = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in EMPTY:
            self.open.append((tag, own.get("id") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop()[0] == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if tags and tags[-1] in ("script", "style"):
            self.scripts.extend([data] if tags[-1] == "script" else [])
            return
        if {"td", "th"} & set(tags):
            self.rows[-1][-1] += data.strip()
        for place in (place for _, place in self.open if place):
            self.sections[place] = self.sections.get(place, "") + data

    def column(self, table: str, head: str) -> list[str]:
        rows = self.tables[table]
        return [row[rows[0].index(head)] for row in rows[1:]]
