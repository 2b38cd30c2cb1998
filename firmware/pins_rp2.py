"""Which pins of an RP2040 or RP2350 board may be what: board_check.py judges a board's data by it."""

_PICO = tuple(range(23)) + (26, 27, 28)  # 23 to 25 and 29 belong to the Pico itself

# pins: keys that are pins, beside PINS; allowed: for all of them; battery: for battery_pin; pairs: the next GPIO is taken too;
# numbers and texts: beside those of every board; timers: no two alike.
RULES = {
    "pins": ("encoder_pin",), "allowed": _PICO, "battery": (26, 27, 28), "pairs": ("encoder_pin",),
    "numbers": {
        "battery_full_scale_mv": (1_000, 60_000), "journal_blocks": (0, 4_096), "code_trailer": (0x1001_0000, 0x10FF_F000),
    },
    "texts": ("journal_folder",), "timers": (),
}  # fmt: skip
