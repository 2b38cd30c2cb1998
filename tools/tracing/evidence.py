"""What ran and what it showed: the result files under build/, each refused unless it is of this very tree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.tables import load_toml

Content = dict[str, Any]

TESTS_FILE = Path("build", "trace", "tests.json")  # tools/tracing/plugin.py
SCENARIOS_FILE = Path("build", "scenarios", "results.json")  # tools/scenarios.py
CAMPAIGN_FILE = Path("build", "campaign", "result.json")
SMOKE_FILE = Path("build", "smoke", "result.json")  # tools/smoke.py
EMULATED_FILE = Path("build", "emulated", "results.json")  # tools/emulated.py
MEASURED_FILE = Path("build", "measured", "results.json")  # tools/scenarios.py --target /dev/ttyACM0 --out build/measured
SCENARIO_FILES = Path("hil", "scenarios")

# Strongest first. The first four say how much of the domain was seen (in software), the next two on what it was seen.
STRENGTHS = ("PROVEN", "CAMPAIGN", "PROPERTY", "EXAMPLE", "EMULATED", "MEASURED", "GAP")
PROVEN, BY_CAMPAIGN, PROPERTY, EXAMPLE, EMULATED, MEASURED, GAP = STRENGTHS
OF_TEST = {"exhaustive": PROVEN, "campaign": BY_CAMPAIGN, "property": PROPERTY, "example": EXAMPLE, "emulated": EMULATED}
OF_RUN = {"SIMULATED": EXAMPLE, "EMULATED": EMULATED, "MEASURED": MEASURED}
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
TEST, SCENARIO, CAMPAIGN, SMOKE = "test", "scenario", "campaign", "smoke"


@dataclass(frozen=True)
class Evidence:
    """One test, scenario, campaign or boot of the image, and what came of it."""

    source: str  # TEST, SCENARIO, CAMPAIGN or SMOKE
    name: str
    requirements: tuple[str, ...]
    strength: str
    outcome: str
    entered: frozenset[str] = frozenset()  # functions, as module.py:name
    note: str = ""

    @property
    def story(self) -> str:
        """The test without its parameters: many cases are one story."""
        return self.name.split("[")[0]


def read_fresh(path: Path, tree: str) -> Content | None:
    """A result file of this tree; None if it is missing, broken or of another tree."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("tree") == tree else None


def of_tests(content: Content, _root: Path) -> Iterator[Evidence]:
    """Each test of a whole run."""
    places = content["places"]
    for test in content["tests"]:
        entered = frozenset(places[index] for index in test["entered"])
        partly = tuple(test.get("part_of", ()))
        wholly = tuple(id for id in test.get("requirements", ()) if id not in partly)
        strength = OF_TEST[test.get("kind", "example")]
        yield Evidence(TEST, test["test"], wholly, strength, test["outcome"], entered, test.get("domain", ""))
        if partly:
            yield Evidence(TEST, test["test"], partly, EXAMPLE, test["outcome"], entered)


def of_scenarios(content: Content, root: Path) -> Iterator[Evidence]:
    """Each scenario file that names requirements; one that did not run is skipped evidence, which is none."""
    yield from _of_stories(content, root / SCENARIO_FILES)


def of_emulated(content: Content, root: Path) -> Iterator[Evidence]:
    """The same of the stories that are told to the flashed image on emulated boards."""
    yield from _of_stories(content, root / SCENARIO_FILES / "emulated")


def _of_stories(content: Content, folder: Path) -> Iterator[Evidence]:
    for path in sorted(folder.glob("*.toml")):
        requirements = tuple(load_toml(path).get("requirements", ()))
        result = content["results"].get(path.stem, {"verdict": SKIPPED, "evidence": "SIMULATED"})
        if requirements:
            outcome = result["verdict"] if result["verdict"] in (PASSED, SKIPPED) else FAILED
            yield Evidence(SCENARIO, path.stem, requirements, OF_RUN.get(result["evidence"], GAP), outcome, note=result["evidence"])


def of_campaign(content: Content, _root: Path) -> Iterator[Evidence]:
    """Random histories beside the oracle; one disagreement and it holds nothing."""
    outcome = FAILED if content["disagreements"] else PASSED
    note = f"{content['histories']} histories, {content['events']} events, seed {content['seed']}"
    yield Evidence(CAMPAIGN, CAMPAIGN, tuple(content["requirements"]), BY_CAMPAIGN, outcome, note=note)


def of_smoke(content: Content, _root: Path) -> Iterator[Evidence]:
    """The flashed image on an emulated board."""
    outcome = PASSED if content["verdict"] == PASSED else FAILED
    yield Evidence(SMOKE, SMOKE, tuple(content["requirements"]), EMULATED, outcome)


# Where each kind of evidence lies, whether a trace needs it, and who reads it.
SOURCES: tuple[tuple[Path, bool, Callable[[Content, Path], Iterator[Evidence]]], ...] = (
    (TESTS_FILE, True, of_tests),
    (SCENARIOS_FILE, True, of_scenarios),
    (CAMPAIGN_FILE, True, of_campaign),
    (SMOKE_FILE, False, of_smoke),
    (EMULATED_FILE, False, of_emulated),
    (MEASURED_FILE, False, of_scenarios),
)


def missing(root: Path, tree: str) -> list[Path]:
    """The result files that a trace needs and that are not there, or of another tree."""
    return [path for path, needed, _ in SOURCES if needed and read_fresh(root / path, tree) is None]


def gather(root: Path, tree: str) -> list[Evidence]:
    """All evidence of this tree."""
    found: list[Evidence] = []
    for path, _, read in SOURCES:
        content = read_fresh(root / path, tree)
        found += read(content, root) if content else ()
    return found
