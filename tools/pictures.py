"""Takes the pictures of the README, and those a person looks at before a release: `make pictures`.

docs/report.png, metrology.png and live.png are small and kept; build/pictures/ has report, comparison, metrology and live page at both
widths, and each page of the PDFs. Runs on the simulated pump: every figure in them is SIMULATED.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.browser import NoBrowser, browser  # noqa: E402 - after the path is set

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BUILD, DOCS = ROOT / "build" / "pictures", ROOT / "docs"
WIDTHS = (1200, 420)
MAIN, OTHER, METROLOGY = "night-flex-spinal", "port-bolus-refused", "metrology-quick"
HALF_AN_HOUR_S = 1800  # of the pump's time on the live page
WATCHED_FOR = "(s) => pumps.every((p) => { const t = p.columns[0]; return t.length > 5 && t[t.length - 1] - t[0] > s; })"
PATIENCE_MS = 300_000
COLOURS = 256


def main() -> int:
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        with browser() as opened:
            of_reports(opened)
            of_live(opened)
    except NoBrowser as why:
        print(f"no pictures: {why}", file=sys.stderr)
        return 2
    of_paper(BUILD / MAIN / "report.pdf", "paper")
    of_paper(BUILD / METROLOGY / "report.pdf", "metrology-paper")
    return 0


def of_reports(opened: Browser) -> None:
    for name in (MAIN, OTHER):
        hil("run", name, "--out", str(BUILD / name), "--quiet")
    hil("compare", str(BUILD / MAIN), str(BUILD / OTHER), "--out", str(BUILD / "compare.html"))
    hil("metrology", "--out", str(BUILD / METROLOGY), "--operator", "R. Weber", "--tube", "T-0427, 20 h")
    shown = {name: BUILD / folder / "report.html" for name, folder in (("report", MAIN), ("alarms", OTHER), ("metrology", METROLOGY))}
    shown["compare"] = BUILD / "compare.html"
    for name, path in shown.items():
        for width in WIDTHS:
            page = at_width(opened, path.as_uri(), width)
            keep(page.screenshot(full_page=True), BUILD / f"{name}-{width}.png")
    for name, height in (("report", 1240), ("metrology", 1000)):
        page = at_width(opened, shown[name].as_uri(), WIDTHS[0])
        keep(page.screenshot(clip={"x": 90, "y": 0, "width": 1020, "height": height}, full_page=True), DOCS / f"{name}.png")


def of_live(opened: Browser) -> None:
    """Two pumps: one that runs, one that was stopped and complains."""
    links = [BUILD / "bench-1", BUILD / "bench-2"]
    with contextlib.ExitStack() as all_of_them:
        for seed, link in enumerate(links, 1):
            words = ("serve", "--scenario", MAIN, "--seed", str(seed), "--link", str(link), "--speed", "600")
            all_of_them.enter_context(running(*words, until="a simulated pump"))
        targets = [word for link in links for word in ("--target", str(link.relative_to(ROOT)))]
        url = all_of_them.enter_context(running("watch", *targets, "--port", "0", "--default-key", until=r"http://\S+/"))
        take_live(opened, url, links[1])


def take_live(opened: Browser, url: str, stopped: Path) -> None:
    pages = [at_width(opened, url, width) for width in WIDTHS]
    pages[0].wait_for_function(WATCHED_FOR, arg=HALF_AN_HOUR_S)
    with stopped.open("wb", buffering=0) as line:
        line.write(b"STOP\r")
    for page in pages:
        page.wait_for_function("() => document.body.innerText.includes('PUMP_STOPPED')")
    pages[0].wait_for_function(WATCHED_FOR, arg=4 * HALF_AN_HOUR_S)
    for page, width in zip(pages, WIDTHS, strict=True):
        keep(page.screenshot(full_page=True), BUILD / f"live-{width}.png")
    keep(pages[0].screenshot(full_page=True), DOCS / "live.png")


def of_paper(path: Path, name: str) -> None:
    import pypdfium2

    for number, sheet in enumerate(pypdfium2.PdfDocument(path), 1):
        sheet.render(scale=1.4).to_pil().save(BUILD / f"{name}-{number}.png")
        print(f"build/pictures/{name}-{number}.png")


# ---- helpers


def at_width(opened: Browser, url: str, width: int) -> Page:
    page = opened.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    return page


def keep(png: bytes, path: Path) -> None:
    """With few colours: a page has no more, and the repository is not for photographs."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.relative_to(ROOT))


def hil(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "hil", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def running(*words: str, until: str) -> Iterator[str]:
    """`python -m hil ...` in the background; gives what told that it is ready."""
    with subprocess.Popen([sys.executable, "-m", "hil", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = next((match[0] for line in process.stdout if (match := re.search(until, line))), None)
            if found is None:
                raise SystemExit(f"hil {' '.join(words)} ended at once")
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            process.communicate()


if __name__ == "__main__":
    sys.exit(main())
