"""Which pins of a pyboard may be what: board_check.py judges a board's data by it."""

_PYBOARD = tuple(["X%d" % i for i in range(1, 13)] + ["Y%d" % i for i in range(1, 13)] + ["X19", "X20", "X21", "X22"])
_TIMERS = ("step_timer", "count_timer", "enable_timer", "encoder_timer", "wake_timer", "buzzer_timer")

# pins: keys that are pins, beside PINS; allowed: for all of them; battery: for battery_pin; pairs: the next GPIO is taken too;
# numbers and texts: beside those of every board; timers: no two alike.
RULES = {
    "pins": ("encoder_a_pin", "encoder_b_pin"), "allowed": _PYBOARD,
    "battery": ("X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X11", "X12", "X19", "X20", "X21", "X22", "Y11", "Y12"), "pairs": (),
    "numbers": {
        "battery_full_scale_mv": (1_000, 60_000), "step_timer": (1, 14), "count_timer": (1, 14), "enable_timer": (1, 14),
        "encoder_timer": (1, 14), "wake_timer": (1, 14), "buzzer_timer": (1, 14),
        "step_alternate": (1, 15), "enable_alternate": (1, 15), "encoder_alternate": (1, 15), "count_trigger": (0, 3),
    },
    "texts": ("journal_folder",), "timers": _TIMERS,
}  # fmt: skip
