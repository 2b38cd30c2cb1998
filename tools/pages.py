"""docs/wire.md and docs/alarms.md from the firmware's own tables: `make docs` writes them, `--check` says if they are stale.

Use: python -m tools.pages [--check]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WHO = {"ask": "anybody", "stop": "anybody", "operator": "operator", "service": "service"}
DOES = ("goes on", "no bolus; basal goes on", "the lowest rate of the program, no bolus", "stops")
MADE = "<!-- made by `make docs` from {source}: change that, not this -->"

WIRE = """# The wire: every verb

{made}

A question may be typed by anybody on the serial line (`*IDN?`, `STAT? part=caps`); STOP too. What changes anything goes in a frame,
numbered, in a session, with a code of the role's key over it: `hil/link.py` is a host that does it, `README.md` says what the keys hold.

A field that ends in `?` may be left out. A quantity is a whole number with its unit attached (`volume=10000nl`); limits are the
table's, the therapy's own caps come on top. HELLO opens a session, AUTH a role in it (`role=` `sess=` `mac=`); the
frame itself is read before the table.

| verb | who | fields |
|---|---|---|
{rows}
"""

ALARMS = """# Alarms

{made}

An alarm that latches stays until its cause is gone and a person has acknowledged it (`ALAR:ACK id=..`); HIGH always latches. "At most" is
what the pump still does while the cause is there; once it is gone, no bolus until the acknowledgement, unless the alarm holds.

| code | priority | the pump | latches | after | what it says |
|---|---|---|---|---|---|
{rows}
"""


def wire(verbs: dict[str, tuple[str, dict[str, tuple[Any, ...]]]]) -> str:
    told = {verb: "; ".join(_field(name, kind) for name, kind in fields.items()) for verb, (_, fields) in verbs.items()}
    rows = (f"| `{verb}` | {WHO[who]} | {told[verb]} |" for verb, (who, _) in verbs.items())
    return _page(WIRE, "firmware/doseloop/commands.py", rows)


def _field(name: str, kind: tuple[Any, ...]) -> str:
    shapes: dict[str, Callable[..., str]] = {
        "q": lambda unit, least, most: f"{least:,} to {most:,} {unit}",
        "n": lambda least, most: f"{least:,} to {most:,}",
        "w": lambda words: ", ".join(words),
        "t": lambda most: f"text, up to {most}",
        "d": lambda: "date",
        "h": lambda digits: f"{digits} hex digits",
    }
    return f"`{name}` {shapes[kind[0]](*kind[1:])}"


def alarms(table: Iterable[tuple[Any, ...]], priorities: tuple[str, ...]) -> str:
    return _page(ALARMS, "firmware/doseloop/alarms.py", (_alarm(row, priorities) for row in table))


def _alarm(row: tuple[Any, ...], priorities: tuple[str, ...]) -> str:
    code, priority, action, latched, persist_ms, hold, _, text = row
    high = priorities[priority] == "HIGH"
    does = (DOES[max(action, 1)] if high else DOES[action]) + (", until acknowledged" if hold else "")
    after = f"{persist_ms // 1000:,} s" if persist_ms else "at once"
    return f"| `{code}` | {priorities[priority]} | {does} | {'yes' if latched or high else 'no'} | {after} | {text} |"


def _page(form: str, source: str, rows: Iterable[str]) -> str:
    return form.format(made=MADE.format(source=source), rows="\n".join(rows))


def pages() -> dict[Path, str]:
    """Each page and what it must say."""
    sys.path.insert(0, str(ROOT / "firmware"))
    from doseloop.alarms import PRIORITIES, TABLE
    from doseloop.commands import VERBS

    return {DOCS / "wire.md": wire(VERBS), DOCS / "alarms.md": alarms(TABLE, PRIORITIES)}


def stale() -> list[Path]:
    return [path for path, text in pages().items() if not path.is_file() or path.read_text("utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    if parser.parse_args().check:
        for path in stale():
            print(f"{path.relative_to(ROOT)} is stale: make docs")
        return int(bool(stale()))
    for path, text in pages().items():
        path.write_text(text, "utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
