"""The machine's own chromium, without a window: for the browser tests and for `make pictures`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = "apt-get install chromium, and pip install -e '.[browser]'; or CHROMIUM=/path/to/it"


class NoBrowser(Exception):
    """None can be had here; says how to get one."""


def find_chromium() -> str:
    named = os.environ.get("CHROMIUM")
    found = named if named and os.access(named, os.X_OK) else next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise NoBrowser(f"no chromium was found: {HOW}")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    path = find_chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowser(f"playwright is not installed: {HOW}") from None
    with sync_playwright() as playwright:
        # Its own sandbox wants rights that a container's root has not; the pages are ours.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield opened
        finally:
            opened.close()
