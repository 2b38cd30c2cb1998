"""junit.xml: each step and each figure of a run is a test case, with what the report says of it as properties."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from hil.metrology.figure import FLOOR
from hil.metrology.outcome import Outcome
from hil.result import FAILED, MARGINAL, NOT_MEASURED, UNUSABLE, Measurement, Result, limits_text, shown

NOT_XML = re.compile("[^\\t\\n\\r\\x20-\ud7ff\ue000-\ufffd]")
UNJUDGED = (NOT_MEASURED, MARGINAL, FLOOR)
FACTS = ("target", "seed", "virtual_s", "key")


def of_run(result: Result, path: Path) -> None:
    """Steps, measurements, and an error for a bench that was unusable."""
    facts = {name: str(getattr(result, name)) for name in FACTS if getattr(result, name) != ""}
    suite = _suite(result.scenario, {"verdict": result.verdict, "evidence": result.evidence, **facts}, result.versions)
    suite.set("time", f"{result.wall_s:.3f}")
    for o in result.outcomes:
        _case(suite, f"{result.scenario}.{o.where}", o.what, {"t_ms": str(o.t_ms)}, "" if o.ok else o.detail or "not as promised")
    _figures(suite, result.scenario, result.evidence, ((m, m.verdict) for m in result.measurements))
    if result.verdict == UNUSABLE:
        _error(suite, result.scenario, result.reason)
    _write(suite, path)


def of_metrology(outcome: Outcome, path: Path) -> None:
    """Figures; one that was not measured, is marginal or lies under the noise floor has not passed: it is skipped, with that word."""
    about = {"verdict": outcome.verdict, "evidence": outcome.evidence, "target": outcome.target}
    suite = _suite(outcome.title, about, {**outcome.setup, **outcome.versions})
    _figures(suite, "metrology", outcome.evidence, ((figure.measurement(), figure.verdict) for figure in outcome.figures), unjudged=True)
    if outcome.broken_off:
        _error(suite, "metrology", outcome.notes[-1] if outcome.notes else "broken off")
    _write(suite, path)


def _suite(name: str, about: Mapping[str, str], facts: Mapping[str, str]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_xml(name))
    _properties(suite, {**about, **{key.replace(" ", "_"): text for key, text in facts.items()}})
    return suite


def _figures(
    suite: ElementTree.Element, name: str, evidence: str, figures: Iterable[tuple[Measurement, str]], unjudged: bool = False
) -> None:
    for m, verdict in figures:
        wrong = f"{shown(m.value)} {m.unit}, allowed {limits_text(m)}" if verdict == FAILED else ""
        skipped = unjudged and not wrong and verdict in UNJUDGED
        said = {"evidence": evidence, **_said(m), "verdict": verdict}
        why = f"{verdict}: {m.missing or limits_text(m)}" if skipped else ""
        _case(suite, f"{name}.{m.why}" if m.why else name, m.name, said, wrong, why)


def _said(m: Measurement) -> dict[str, str]:
    """What the report's table says of a figure."""
    figures = {name: getattr(m, name) for name in ("value", "low", "high", "margin", "uncertainty", "uncertainty_down")}
    return {name: repr(value) for name, value in figures.items() if value is not None} | {"unit": m.unit}


def _case(suite: ElementTree.Element, where: str, name: str, properties: Mapping[str, str], wrong: str, skipped: str = "") -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=_xml(where), name=_xml(name))
    _properties(case, properties)
    if wrong:
        ElementTree.SubElement(case, "failure", message=_xml(wrong))
    elif skipped:
        ElementTree.SubElement(case, "skipped", message=_xml(skipped))


def _error(suite: ElementTree.Element, where: str, why: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=_xml(where), name="bench")
    ElementTree.SubElement(case, "error", message=_xml(why))


def _properties(parent: ElementTree.Element, pairs: Mapping[str, str]) -> None:
    properties = ElementTree.SubElement(parent, "properties")
    for name, value in pairs.items():
        ElementTree.SubElement(properties, "property", name=_xml(name), value=_xml(value))


def _write(suite: ElementTree.Element, path: Path) -> None:
    counted = (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error"), ("skipped", "testcase/skipped"))
    for name, tag in counted:
        suite.set(name, str(len(suite.findall(tag))))
    ElementTree.indent(suite)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _xml(text: str) -> str:
    """Without what no XML file may hold."""
    return NOT_XML.sub("?", text)
