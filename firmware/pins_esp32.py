"""Which pins of an ESP32 board may be what: board_check.py judges a board's data by it."""

_ESP32 = (4, 13, 14, 16, 17, 18, 19, 21, 22, 23, 25, 26, 27, 32, 33)  # not flash, console, starting, nor those without a pull

# pins: keys that are pins, beside PINS; allowed: for all of them; battery: for battery_pin; pairs: the next GPIO is taken too;
# numbers and texts: beside those of every board; timers: no two alike.
RULES = {
    "pins": ("step_count_pin", "encoder_a_pin", "encoder_b_pin"), "allowed": _ESP32,
    "battery": (32, 33, 34, 35, 36, 39), "pairs": (), "numbers": {"battery_full_scale_mv": (1_000, 60_000)},
    "texts": ("journal_folder",), "timers": (),
}  # fmt: skip
