"""Is a board's data fit to start a pump? A wrong or doubled pin, a missing key, a wrong type or range is named, before a pin is touched.

What is allowed lies in tables: NUMBERS and the rest below for every board, RULES in pins_rp2.py and its like for the pins of each chip,
so that a board carries those of its own chip only. Pins are GPIO numbers, or on stm32 the board's own names.
"""

_LEAST_REGION = 52  # region.MIN_BLOCKS; not imported, for a board without a region has no room to spare for it
_LEAST_FILES = 64  # blocks that are left to the filesystem

# key: (least, most). Units are in the key's end; where the design or the label sets an end, it stands behind it.
NUMBERS = {
    "steps_per_ml_nominal": (10_000, 1_000_000),  # as CAL:SET spm
    "steps_per_turn": (200, 51_200),
    "encoder_counts_per_turn": (200, 100_000),
    "witness_slack_counts": (0, 1_000),
    "min_pulse_period_us": (100, 100_000),
    "step_jitter_us": (0, 100_000),
    "max_rate_nl_h": (1_000_000, 150_000_000),  # as TEST:FLOW rate
    "lease_basal_ms": (1_000, 10_000),  # DESIGN, "Motion"
    "lease_basal_nl": (10, 2_000),
    "lease_bolus_ms": (10, 1_000),
    "reservation_nl": (10, 10_000),  # DESIGN, "The account"
    "reservation_ms": (1_000, 900_000),
    "reservoir_nl": (1_000_000, 100_000_000),
    "threshold_nl": (1_000_000, 4_000_000),  # R-ALM-2
    "residual_nl": (0, 10_000_000),
    "dead_volume_tubing_nl": (0, 10_000_000),
    "dead_volume_catheter_nl": (0, 10_000_000),
    "battery_low_mv": (1_500, 6_000),
    "battery_low_clear_mv": (1_500, 6_000),
    "battery_depleted_mv": (1_500, 6_000),
    "battery_depleted_clear_mv": (1_500, 6_000),
    "flash_blocks": (64, 1_000_000),
    "watchdog_ms": (1_000, 8_388),  # the RP2040 cannot wait longer
    "observation_h": (1, 72),  # R-FIL-4
    "prime_nl_h": (1_000, 150_000_000),
}
TEXTS = ("name",)

# The left one must be below the right one.
RISING = (
    ("battery_depleted_mv", "battery_depleted_clear_mv"),
    ("battery_depleted_clear_mv", "battery_low_mv"),
    ("battery_low_mv", "battery_low_clear_mv"),
    ("threshold_nl", "reservoir_nl"),
    ("residual_nl", "reservoir_nl"),
)

FAMILY_OF_PLATFORM = {"linux": "unix", "darwin": "unix", "rp2": "rp2", "esp32": "esp32", "pyboard": "stm32"}

# Every board has these pins, save unix, which has none.
PINS = (
    "step_pin", "enable_pin", "direction_pin", "port_pin", "buzzer_pin", "lamp_red_pin", "lamp_yellow_pin", "battery_pin",
)  # fmt: skip
_NO_PINS = {"pins": (), "allowed": (), "battery": (), "pairs": (), "numbers": {}, "texts": (), "timers": ()}


def rules_of(family):
    """Of a family's pins: its own keys, what they may be, and which of them exclude each other."""
    if family == "unix":
        return _NO_PINS
    rules = dict(__import__("pins_" + family).RULES)
    rules["pins"] = PINS + rules["pins"]
    return rules


def faults(board, family):
    """Sentences for a person, one for each fault of a board's data (a dict); none if a pump may start on it."""
    rules = rules_of(family)
    checks = _checks(rules)
    found = ["%s is missing: see the other boards under boards/" % key for key in sorted(checks) if key not in board]
    found += ["%s is no key of this board: is it misspelt?" % key for key in sorted(board) if key not in checks]
    for key in sorted(board):
        check, allowed = checks.get(key, (_anything, None))
        fault = check(board[key], allowed)
        if fault:
            found.append("%s %s" % (key, fault))
    return found or _doubled_pins(board, rules) + _doubled_timers(board, rules["timers"]) + _relations(board)


def _checks(rules):
    """{key: (function that finds its fault, what is allowed)} for every key that a board of the family has."""
    checks = {}
    for table in (NUMBERS, rules["numbers"]):
        for key in table:
            checks[key] = (_number_fault, table[key])
    for key in TEXTS + rules["texts"]:
        checks[key] = (_text_fault, None)
    for key in rules["pins"]:
        checks[key] = (_pin_fault, rules["battery"] if key == "battery_pin" else rules["allowed"])
    return checks


def _anything(value, allowed):
    return None


def _text_fault(value, allowed):
    return None if type(value) is str and value else "wants a text in quotes, not %r" % (value,)


def _number_fault(value, limits):
    if type(value) is not int:
        return "wants a whole number, not %r" % (value,)
    if not limits[0] <= value <= limits[1]:
        return "is %d; it must be from %d to %d" % (value, limits[0], limits[1])
    return None


def _pin_fault(value, allowed):
    if type(value) is not type(allowed[0]):
        return "wants %s, not %r" % ("a GPIO number" if type(allowed[0]) is int else "a pin's name in quotes", value)
    if value not in allowed:
        return "is %s, which cannot be used for it; choose of %s" % (value, " ".join([str(pin) for pin in allowed]))
    return None


def _doubled_pins(board, rules):
    """One pin for two parts; the second channel of a pair lies on the next GPIO."""
    users, found = {}, []
    taken = [(board[key], key) for key in rules["pins"]]
    for key in rules["pairs"]:
        taken.append((board[key] + 1, "the second channel of " + key))
        if board[key] + 1 not in rules["allowed"]:
            found.append("%s is %d, but its second channel cannot be on the next GPIO: move it" % (key, board[key]))
    for pin, user in taken:
        if pin in users:
            found.append("%s and %s are both on pin %s: give each its own" % (users[pin], user, pin))
        users[pin] = user
    return found


def _doubled_timers(board, timers):
    users, found = {}, []
    for key in timers:
        if board[key] in users:
            found.append("%s and %s both use timer %d: give each its own" % (users[board[key]], key, board[key]))
        users[board[key]] = key
    return found


def _relations(board):
    found = []
    region = board.get("journal_blocks", 0)
    if region and not _LEAST_REGION <= region <= board["flash_blocks"] - _LEAST_FILES:
        text = "journal_blocks is %d; it must be 0 (the journal is kept in files) or from %d to %d"
        found.append(text % (region, _LEAST_REGION, board["flash_blocks"] - _LEAST_FILES))
    for lower, upper in RISING:
        if not board[lower] < board[upper]:
            found.append("%s is %d; it must be below %s, which is %d" % (lower, board[lower], upper, board[upper]))
    period_us = 3_600_000_000 * 1_000_000 // (board["max_rate_nl_h"] * board["steps_per_ml_nominal"])
    if period_us < board["min_pulse_period_us"]:
        text = "max_rate_nl_h %d means a pulse each %d us; min_pulse_period_us is %d: lower the rate"
        found.append(text % (board["max_rate_nl_h"], period_us, board["min_pulse_period_us"]))
    return found


def refusal(board, family):
    """What to tell at the console if a pump may not start on this board: a text of several lines, or None."""
    found = faults(board, family)
    if not found:
        return None
    lines = ["DOSELOOP DOES NOT START: boards/%s/board.py is wrong. Nothing moves." % board.get("name", "?")]
    lines += ["  - " + fault for fault in found]
    return "\n".join(lines + ["Correct it, then install again: python tools/flash.py --board %s" % board.get("name", "?")])
