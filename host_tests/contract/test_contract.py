"""Every case of cases.py on every family of rigs.py; a family that cannot run here is skipped, with the reason."""

import pytest
from cases import CASES, NEAR_WRAP
from rigs import FAMILIES, NotHere

MARKS = {"rp2": [pytest.mark.emulated, pytest.mark.xdist_group("contract-rp2")]}


@pytest.mark.parametrize("family", [pytest.param(name, marks=MARKS.get(name, ())) for name in FAMILIES])
@pytest.mark.parametrize("case", CASES)
def test_contract(family, case, tmp_path, families_seen):
    try:
        rig = FAMILIES[family](tmp_path, near_wrap=case in NEAR_WRAP)
    except NotHere as reason:
        families_seen[family] = str(reason)
        pytest.skip(f"{family}: {reason}")
    try:
        CASES[case](rig)
        families_seen.setdefault(family, "")
    finally:
        rig.close()
