"""The pages as a browser shows them, at two widths: figures, buttons, hostile text, and coming back. Skipped aloud without a chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from live_rig import PATIENCE_S, ROOT, FakePump, process, served, stat_line, watched

from tools.browser import NoBrowser, browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
WIDTHS = [1200, 420]
PATIENCE_MS = 1000 * PATIENCE_S
DELIVERS_AS_PROGRAMMED = """() => {
  const entries = [...document.querySelectorAll(".entry")];
  const of = (name) => parseFloat(entries.find((e) => e.innerText.startsWith(name))?.querySelector("b").textContent);
  return of("programmed") > 1 && Math.abs(of("delivered") - of("programmed")) < 0.3;
}"""
# A field never holds ">" (a reply that does is taken for two in one): a tag is open, and the page's own next ">" would close it.
HOSTILE = "<img src=x onerror=window.hit=1 <svg onload=window.hit=1 ' onmouseover=window.hit=1 javascript:window.hit=1"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        with browser() as opened:
            yield opened
    except NoBrowser as why:
        pytest.skip(f"BROWSER: NOT RUN, {why}")


@pytest.fixture
def show(chromium: Browser) -> Iterator[Any]:
    """Opens an address at a width; at the end no page may have failed, nor have tried what its policy forbids."""
    wrong: list[str] = []
    pages: list[Page] = []

    def open_page(url: str, width: int = 1200) -> Page:
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(url)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []


def fits(page: Page) -> None:
    """Nothing sticks out at the side, nothing is written over something else's text."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    cut = page.evaluate(
        """[...document.querySelectorAll("td, th, b, i, h1, h2, h3, p, dd, dt, .chip, button, figcaption")].filter((e) =>
           e.offsetParent && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline"
           && !e.closest("table:not(.cards)")).map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert cut == []


def say(page: Page, text: str, where: str = "body") -> None:
    """Wait until it can be read."""
    page.wait_for_function("([where, text]) => document.querySelector(where)?.innerText.includes(text)", arg=[where, text])


# ---- the live page


@pytest.mark.parametrize("width", WIDTHS)
def test_a_running_pump_is_shown_with_program_delivery_supplies_and_log(show: Any, tmp_path: Path, width: int) -> None:
    link = tmp_path / "pump"
    with served(link, "--scenario", "night-flex-spinal", "--speed", "600"), watched("--target", str(link), "--port", "0") as (_, url):
        page = show(url, width)
        for text in ("running", "night-flex-spinal", "14.000 mcg/h", "refill by 2027-", "3720 mV", "SIMULATED", "none on", "read-only"):
            say(page, text)
        say(page, "RUN", '[data-of="log"]')
        say(page, "live", "#link")
        page.wait_for_function(DELIVERS_AS_PROGRAMMED)
        assert page.locator("canvas").count() == 3 and page.locator("button:visible").count() == 0
        fits(page)


def test_an_alarm_is_acknowledged_and_muted_with_the_key(show: Any, tmp_path: Path) -> None:
    """48 h after a STOP the pump's own alarm is high (R-ALM-7); here the low one will do."""
    link = tmp_path / "pump"
    with served(link, "--scenario", "night-flex-spinal"), watched("--target", str(link), "--port", "0", "--default-key") as (_, url):
        page = show(url)
        say(page, "may acknowledge")
        stop_typed(link, url, page)
        say(page, "PUMP_STOPPED", '[data-of="alarms"]')
        page.get_by_role("button", name="Mute for 2 min").click()
        say(page, "mute: done", '[data-of="said"]')
        page.get_by_role("button", name="Acknowledge").first.click()
        say(page, "PUMP_STOPPED: done", '[data-of="said"]')
        say(page, "ALAR:ACK", '[data-of="log"]')
        fits(page)


def stop_typed(link: Path, url: str, page: Page) -> None:
    """A STOP on the line, beside the watch: the pty takes a second writer."""
    with link.open("wb", buffering=0) as line:
        line.write(b"STOP\r")


@pytest.fixture
def hostile() -> Iterator[FakePump]:
    pump = FakePump()
    text, script = HOSTILE, "<script src=data:,window.hit=1 </script "
    pump.answers["*IDN?"] = f'maker=doseloop fw=0.1.0 board="{text}" uid="{script}" hash=00 git=none'
    pump.answers["STAT?"] = stat_line(prog=f'"{text}"', phase=f'"{text}"', alarms="1", top="X", state=f'"{text}"')
    pump.alarms = [f'id="{text}" priority="HIGH onclick=window.hit=1" cause=on acked=no since=1s text="{text}" count=1']
    pump.log = [text, "</td <script src=data:,window.hit=1 ", "{{7*7}} ${window.hit=1}"]
    yield pump
    pump.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_text_of_a_pump_is_never_markup(show: Any, hostile: FakePump, width: int) -> None:
    with watched("--target", hostile.url, "--port", "0", "--default-key") as (_, url):
        page = show(url, width)
        for where in ("alarms", "log", "state", "program", "phase", "name"):
            say(page, "<img src=x onerror=window.hit=1", f'[data-of="{where}"]')
        page.hover('[data-of="state"]')
        assert page.evaluate("window.hit") is None
        assert page.locator("main img, main script").count() == 0
        page.get_by_role("button", name="Acknowledge").click()
        say(page, "that alarm is not on", '[data-of="said"]')
        assert b"HELLO" not in hostile.seen
        fits(page)


def test_the_page_outlives_the_pump_and_shows_it_again_when_it_is_back(show: Any, tmp_path: Path) -> None:
    link = tmp_path / "pump"
    with WatchedPump(link) as (page_url, first):
        page = show(page_url)
        say(page, "answering")
        first.terminate()
        say(page, "line gone")
        assert "stale" in page.locator(".pump").get_attribute("class")
        with served(link, "--scenario", "night-flex-spinal"):
            say(page, "answering")
            assert "stale" not in page.locator(".pump").get_attribute("class")


class WatchedPump:
    """A served pump and its watch, the pump to be ended by the test."""

    def __init__(self, link: Path) -> None:
        self._pump: Any = served(link, "--scenario", "night-flex-spinal")
        self._link = link

    def __enter__(self) -> tuple[str, Any]:
        running, _ = self._pump.__enter__()
        self._watch: Any = watched("--target", str(self._link), "--port", "0")
        _, url = self._watch.__enter__()
        return url, running

    def __exit__(self, *error: Any) -> None:
        self._watch.__exit__(*error)
        self._pump.__exit__(*error)


def test_the_browser_outlives_the_watch_and_a_reload_has_the_whole_curve_again(show: Any, tmp_path: Path) -> None:
    link = tmp_path / "pump"
    with served(link, "--scenario", "night-flex-spinal", "--speed", "600"):
        with watched("--target", str(link), "--port", "0") as (first, url):
            page = show(url)
            page.wait_for_function("() => pumps[0].columns[0].length >= 4")
            page.reload()
            page.wait_for_function("() => pumps[0].columns[0].length >= 4")
            first.terminate()
            say(page, "the watch is gone", "#link")
        port = re.search(r":(\d+)/", url)
        assert port is not None
        with watched("--target", str(link), "--port", port[1]):
            page.wait_for_function("() => document.querySelector('#link').textContent === 'live'")
            say(page, "answering")


# ---- pages that stand alone


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with alarms and refusals, one without, and their comparison."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("port-bolus-refused", "bolus-lockout"):
        with process("run", name, "--out", str(folder / name), "--quiet", until=r"report: \S+"):
            pass
    both = (str(folder / name) for name in ("port-bolus-refused", "bolus-lockout"))
    with process("compare", *both, "--out", str(folder / "c.html"), until="page:"):
        pass
    return folder


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["port-bolus-refused/report.html", "c.html"])
def test_a_report_fits_its_window_and_shows_each_picture_once(show: Any, runs: Path, name: str, width: int) -> None:
    page = show((runs / name).as_uri(), width)
    say(page, "PASSED")
    fits(page)
    assert page.locator("figure svg:visible").count() == page.locator("figure").count() > 3


def test_nothing_of_the_repository_is_fetched_from_the_network() -> None:
    """The chart library is in the repository, with its licence."""
    vendor = ROOT / "hil" / "live" / "page" / "vendor" / "uplot"
    assert "MIT License" in (vendor / "LICENSE").read_text() and (vendor / "uPlot.iife.min.js").stat().st_size > 40_000
