"""Reads the pages that we write, and holds the text that must not become part of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

HOSTILE = "<script>alert(1)</script>"
CLOSING = '</script></style>--><img src=x onerror="alert(2)">{{ 7 * 7 }}'
# What begins a line, or a cell.
BLOCKS = frozenset("p div h1 h2 h3 h4 li dt dd tr td th summary section article button label option".split())


class Page(HTMLParser):
    """The elements of a page, and its text without what scripts and styles hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.marks: list[str] = []
        self.text = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag == "mark":
            self.marks.append("")
        if tag in BLOCKS:
            self.text += "\n"

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.code:
            self.code[self._open].append(data)
            return
        self.text += data
        if self._open == "mark":
            self.marks[-1] += data

    def count(self, tag: str) -> int:
        return sum(element == tag for element, _ in self.elements)

    @property
    def said(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())


def read_page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def assert_harmless(page: Page) -> None:
    """No product text became markup or code, and what is hostile is there to read."""
    assert (page.count("script"), page.count("style"), page.count("img"), page.count("b")) == (1, 1, 0, 0)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "alert(" not in "".join(page.code["script"] + page.code["style"])
    assert HOSTILE in page.text and CLOSING in page.text and "{{ 7 * 7 }}" in page.text


def assert_self_contained(page: Page) -> None:
    """The page asks the network for nothing, and may not."""
    policy = next(
        attributes["content"] or ""
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    links = [a for _, a in page.elements if {"src", "srcset", "action", "style", "xlink:href"} & a.keys()]
    assert links == []
    assert {a["href"] for _, a in page.elements if "href" in a} == {"#listings"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp", "".join(page.code["style"] + page.code["script"]))


def in_browser(path: Path, profile: Path) -> Page:
    """The page after its script ran in a real browser; skips the test where there is none."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no chromium here")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options += [f"--user-data-dir={profile}", "--virtual-time-budget=2000", "--dump-dom"]
    run = subprocess.run(
        [browser, *options, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return Page(run.stdout)
