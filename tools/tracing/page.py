"""The matrix for people and programs: a table on the console, trace.md, trace.html and trace.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.tracing.evidence import STRENGTHS, Evidence
from tools.tracing.matrix import Matrix, Row
from tools.tracing.requirements import Place, find

TEMPLATES = Path(__file__).parent
MEANING = {
    "PROVEN": "a test went through every member of the domain",
    "CAMPAIGN": "random histories of the whole pump agreed with the oracle",
    "PROPERTY": "hypothesis looked for a counterexample",
    "EXAMPLE": "chosen cases, in tests or in scenarios on the simulated rig",
    "EMULATED": "also seen with the flashed image on an emulated board",
    "MEASURED": "also seen on a real board",
    "GAP": "nothing holds it yet",
}
PLACES_SHOWN = 2


def console(matrix: Matrix) -> Iterator[str]:
    """One line each: requirement, where enforced, tests that passed, how strong."""
    yield f"{'requirement':<11} {'enforced in':<66} {'tests':>5}  strength"
    for row in matrix.rows:
        places = [place.text for place in row.requirement.enforced]
        more = f" +{len(places) - PLACES_SHOWN}" if len(places) > PLACES_SHOWN else ""
        where = (", ".join(places[:PLACES_SHOWN]) + more) or "-"
        yield f"{row.requirement.id:<11} {where:<66} {row.stories:>5}  {' '.join(row.strengths) or row.strength}"
    yield summary(matrix)


def summary(matrix: Matrix) -> str:
    counts = totals(matrix)
    return f"{len(matrix.rows)} requirements: " + ", ".join(f"{count} {strength}" for strength, count in counts.items())


def totals(matrix: Matrix) -> dict[str, int]:
    """How many requirements have which strength at best."""
    counts = Counter(row.strength for row in matrix.rows)
    return {strength: counts[strength] for strength in STRENGTHS if counts[strength]}


def write(matrix: Matrix, root: Path, out: Path) -> None:
    """All three files."""
    out.mkdir(parents=True, exist_ok=True)
    content = as_json(matrix, root)
    (out / "trace.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    (out / "trace.md").write_text("\n".join(markdown(content)) + "\n", "utf-8")
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = environment.get_template("trace.html.j2").render(content)
    (out / "trace.html").write_text(page, "utf-8")


def as_json(matrix: Matrix, root: Path) -> dict[str, Any]:
    return {
        "tree": matrix.tree,
        "summary": summary(matrix),
        "totals": totals(matrix),
        "meaning": MEANING,
        "problems": list(matrix.problems),
        "rows": [_row(row, root) for row in matrix.rows],
    }


def _row(row: Row, root: Path) -> dict[str, Any]:
    requirement = row.requirement
    return {
        "id": requirement.id,
        "area": requirement.area,
        "text": requirement.text,
        "section": requirement.section,
        "kind": requirement.kind,
        "open": requirement.open,
        "strength": row.strength,
        "strengths": row.strengths,
        "tests": row.stories,
        "cases": len(row.holding),
        "enforced": [_place(place, row, root) for place in requirement.enforced],
        "evidence": list(_evidence(row)),
    }


def _place(place: Place, row: Row, root: Path) -> dict[str, Any]:
    kind, line = find(place, root) or ("missing", 0)
    return {"place": place.text, "file": place.path.as_posix(), "line": line, "kind": kind, "entered_by": len(row.exercised_by(place))}


def _evidence(row: Row) -> Iterator[dict[str, Any]]:
    """Each story once, with how many of its cases had which outcome."""
    stories: dict[tuple[str, str], list[Evidence]] = {}
    for each in row.evidence:
        stories.setdefault((each.source, each.story), []).append(each)
    for (source, name), cases in sorted(stories.items(), key=lambda item: (STRENGTHS.index(item[1][0].strength), item[0])):
        outcomes = Counter(case.outcome for case in cases)
        note = next((case.note for case in cases if case.note), "")
        beside = not any(case in row.holding for case in cases)
        yield {"source": source, "name": name, "strength": cases[0].strength, "outcomes": dict(outcomes), "note": note, "beside": beside}


def markdown(content: dict[str, Any]) -> Iterator[str]:
    yield f"# Requirements traced\n\n{content['summary']}. Tree {content['tree']}.\n"
    yield from (f"- {strength}: {meaning}" for strength, meaning in content["meaning"].items())
    if content["problems"]:
        yield "\n## Problems\n"
        yield from (f"- {problem}" for problem in content["problems"])
    yield "\n| id | source | requirement | enforced in | tests (cases) | strength |\n|---|---|---|---|---|---|"
    for row in content["rows"]:
        where = "<br>".join(f"`{place['place']}`" for place in row["enforced"]) or row["open"]
        strengths = ", ".join(f"{strength} {count}" for strength, count in row["strengths"].items()) or "GAP"
        yield f"| {row['id']} | {row['section']} | {row['text']} | {where} | {row['tests']} ({row['cases']}) | {strengths} |"
    yield "\n## What bears each id"
    for row in content["rows"]:
        yield f"\n### {row['id']}\n"
        yield from (_evidence_line(each) for each in row["evidence"])


def _evidence_line(each: dict[str, Any]) -> str:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in each["outcomes"].items())
    note = f" ({each['note']})" if each["note"] else ""
    beside = ", entered none of its places" if each["beside"] else ""
    return f"- {each['strength']}: {each['name']}: {outcomes}{note}{beside}"
