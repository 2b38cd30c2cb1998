"""Programs by shape: how a dose of so many ng a day is spread over the day or the week, as canonical lines."""

_HOURS = range(24)


def _flat(high):
    return [("all", "00:00", high)]


def _hours(high):
    """The flat day of R-DOSE-1 by hours."""
    return [("all", f"{h:02}:00", (h + 1) * high // 24 - h * high // 24) for h in _HOURS]


def _parts(*parts):
    """parts: (start, length, rate), each to any scale."""

    def shape(high):
        total = sum(length * weight for _, length, weight in parts)
        doses = [high * length * weight // total for _, length, weight in parts]
        doses[-1] += high - sum(doses)
        return [("all", start, ng) for (start, _, _), ng in zip(parts, doses)]

    return shape


def _weekend(high):
    """Saturday and Sunday with a tenth less."""
    less = high * 9 // 10
    return [("all", "00:00", high), ("sat", "00:00", less), ("sun", "00:00", less)]


def _friday(high):
    """One day of its own shape and the rest flat, all of one dose."""
    return [("all", "00:00", high), ("fri", "00:00", high * 5 // 12), ("fri", "12:00", high - high * 5 // 12)]


def _gap(high):
    """A day without any dose."""
    return [("all", "00:00", high), ("wed", "00:00", 0)]


SHAPES = {
    "flat": _flat,
    "hours": _hours,
    "morning": _parts(("00:00", 8, 12), ("08:00", 16, 10)),
    "evening": _parts(("00:00", 16, 10), ("16:00", 8, 12)),
    "quarter": _parts(("00:00", 23, 10), ("05:45", 73, 11)),
    "night": _parts(("00:00", 7, 10), ("07:00", 12, 8), ("19:00", 5, 10)),
    "steep": _parts(("00:00", 6, 16), ("06:00", 18, 8)),  # above 120 %: to be confirmed
    "peak": _parts(("00:00", 6, 30), ("06:00", 18, 10)),  # 200 % exactly
    "over": _parts(("00:00", 6, 31), ("06:00", 18, 10)),  # above 200 %
    "under": _parts(("00:00", 6, 4), ("06:00", 18, 10)),  # below 50 %
    "weekend": _weekend,
    "friday": _friday,
    "gap": _gap,
}


def lines_of(shape, daily_ng, conc, bolus=None, name="c"):
    """Canonical lines; bolus: (volume nl, time s, lockout s, allowance ng), the allowance being part of the daily dose."""
    high = max(1, daily_ng - (bolus[3] if bolus else 0))
    lines = ["name=" + name, f"conc={conc}"]
    if bolus:
        keys = ("bolus_volume", "bolus_time", "bolus_lockout", "bolus_allowance")
        lines += [f"{key}={value}" for key, value in zip(keys, bolus)]
    return lines + [f"seg.{day}.{start}={ng}" for day, start, ng in SHAPES[shape](high)]


def taper_of(first_ng, days, conc, spoil="", name="h"):
    """A taper as steep as it may be, by days; spoil: what makes it none (rise, zero, steep)."""
    doses = [max(1, first_ng)]
    while len(doses) < days:
        doses.append(-(-4 * doses[-1] // 5))
    middle = days // 2
    if spoil == "rise":
        doses[middle] = doses[middle - 1] + 1
    elif spoil == "zero":
        doses[middle] = 0
    elif spoil == "steep":
        doses[middle] -= 1
    return ["name=" + name, f"conc={conc}"] + [f"taper.{day:02}={ng}" for day, ng in enumerate(doses, 1)]
