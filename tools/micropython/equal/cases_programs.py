"""Programs: staged line by line, canonical, hashed; their sums, rates and limits, and the refusals on the way."""

from doseloop.program import Staging, check_profile, needs_profile_confirmation
from doseloop.taper import make_program
from doseloop.units import DAYS, WEEK_MIN

WEEK_MS = WEEK_MIN * 60_000


def staged(draw, tried):
    """A program as a prescriber makes it, now and then with a slip; and what the slips were answered."""
    staging = Staging("p%d" % draw.below(1000))
    said = [tried(staging.set, "conc", "%dmcg/ml" % draw.pick((50, 500, 777, 1000, 2000, 10_000)))]
    for day in ["all"] + [draw.pick(DAYS) for _ in range(draw.pick((0, 0, 0, 1, 2)))]:
        daily = draw.below(2_200_000)
        minutes = sorted([0] + [draw.between(1, 1439) for _ in range(draw.pick((0, 1, 2, 5)))])
        for i in range(len(minutes)):
            length = (minutes[i + 1] if i + 1 < len(minutes) else 1440) - minutes[i]
            dose = daily * length // 1440 * draw.pick((100, 100, 100, 80, 120, 121, 50, 199, 201)) // 100
            start = "%02d:%02d" % (minutes[i] // 60, minutes[i] % 60)
            said.append(tried(staging.segment, day, start, "%dng" % dose))
    if draw.one_in(3):
        for key, unit, most in (("volume", "nl", 50_000), ("time", "s", 900), ("lockout", "s", 90_000), ("allowance", "ng", 99_000)):
            said.append(tried(staging.set, "bolus_" + key, "%d%s" % (draw.between(1, most), unit)))
    if draw.one_in(4):
        said.append(slip(draw, tried, staging))
    return staging, said


def slip(draw, tried, staging):
    kind = draw.below(5)
    if kind == 0:
        key = draw.pick(("bolus_time", "conc", "rate", "bolus_volume"))
        return tried(staging.set, key, draw.pick(("0s", "99999999nl", "5", "7mcg/ml")))
    if kind == 1:
        return tried(staging.segment, draw.pick(DAYS), "12:00", "100ng")
    if kind == 2:
        return tried(staging.segment, "all", draw.pick(("24:00", "7:00", "0:0", "")), "100ng")
    if kind == 3:
        return tried(staging.segment, "someday", "00:00", "100ng")
    return tried(staging.segment, "all", "00:00", draw.pick(("100", "100000001ng", "-1ng", "1mcg")))


def sums(program):
    return (
        program.hash, program.lines, program.name, program.conc, program.bolus, program.day_sums, program.daily, program.high, program.low,
        program.is_flat(), program.lowest_rate(), program.basal_nl(900_000), program.fastest_nl_h(), needs_profile_confirmation(program),
    )  # fmt: skip


def cases(draw, tried):
    while True:
        staging, said = staged(draw, tried)
        yield said
        program = tried(make_program, staging.lines())
        if isinstance(program, tuple):
            yield program
            continue
        yield sums(program)
        yield tried(check_profile, program, draw.pick((100_000, 150_000_000)), draw.pick((2_000, 10_000)))
        for _ in range(4):
            at = draw.below(WEEK_MS)
            yield program.rate_at(at), program.dose_between(at, draw.below(WEEK_MS + WEEK_MS // 2))
