"""Says at the end which families ran. With -n each worker has its own notes; the report's words carry them over."""

import pytest
from rigs import EVIDENCE


@pytest.fixture(scope="session")
def families_seen():
    return {}


def pytest_terminal_summary(terminalreporter):
    ran, skipped = {}, {}
    for report in terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", []):
        family = _family(report)
        if family and report.when == "call":
            ran[family] = ran.get(family, 0) + 1
    for report in terminalreporter.stats.get("skipped", []):
        if _family(report):
            skipped[_family(report)] = str(report.longrepr[2]).removeprefix("Skipped: ")
    if not ran and not skipped:
        return
    terminalreporter.section("hal contract", sep="-")
    for family, word in EVIDENCE.items():
        if family in ran:
            terminalreporter.write_line(f"{family:6} {ran[family]:3} cases ran, {word}")
        elif family in skipped:
            terminalreporter.write_line(f"{skipped[family]}")


def _family(report):
    name = report.nodeid.rpartition("::")[2]
    if not name.startswith("test_contract["):
        return None
    return next((family for family in EVIDENCE if name.endswith(f"-{family}]")), None)
