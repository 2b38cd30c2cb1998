"""The table: fault -> alarm -> what the pump does -> time allowed. It is written from the requirements; the time seen is what a run adds.

Where a requirement gives no time, an hour counts: that is how often the pump tests itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.faults.rate import DAY_MS, HOUR_MS, Rate
from tools.faults.stand import Stand

MINUTE_MS = 60_000
LEASE_MS = 10_000  # DESIGN, "Motion": what is still made when nobody orders any more
AT_ONCE_MS = 50  # R-OVD-1's measure of at once
REPORT_MS, WATCHDOG_MS, BOOT_MS = LEASE_MS + 2000, 8000, 2000

ON, LOWEST, STOPS, WITHHELD = "basal goes on", "lowest rate", "stops", "withheld"
NO_BOLUS, BOLUS = "no bolus", ""
FLASH_FULL, FLASH_ONE_COPY, FLASH_DEAD, RAM_PROGRAM, RAM_PLAN, RAM_BOARD, CODE, READ_ONCE, ACCOUNT = (
    1 << bit for bit in range(8, 17)
)


@dataclass(frozen=True)
class Fault:
    """One row. `begin` brings it about; `limit` is the time allowed for the alarm, in ms, at a rate."""

    name: str
    req: str
    alarm: str  # its code; "" where no alarm of the table tells it: then `part` of the self-test does
    priority: str
    action: str
    begin: Callable[[Stand], None]
    limit: Callable[[Rate], int]
    allowed: str  # the same in words
    bolus: str = NO_BOLUS
    part: str = ""  # neither an alarm nor a part: it must do no harm, which `also` judges
    also: Callable[[Stand], str] = lambda stand: ""  # what else must hold, looked at once it is found: a sentence if it does not
    in_bolus: bool = False  # it comes while a bolus moves, and must end it
    rates: tuple[str, ...] = ("usual", "lowest", "highest")  # at which it is this alarm's
    why: str = ""  # of a pair: why these two


def plant(name: str, **params: object) -> Callable[[Stand], None]:
    """A fault of the simulated rig."""
    return lambda stand: stand.fault(name, **params)


def spoil(bits: int) -> Callable[[Stand], None]:
    """An injection point of tools/micropython/faulty_pump.py."""
    return lambda stand: stand.inject(bits)


def both(*begin: Callable[[Stand], None]) -> Callable[[Stand], None]:
    def begin_all(stand: Stand) -> None:
        for each in begin:
            each(stand)

    return begin_all


def a_self_test(rate: Rate) -> int:
    return HOUR_MS


def a_piece(rate: Rate) -> int:
    """What memory holds wrong does nothing before the plan's next piece is made of it: 5 min for 24 h after a clock set (R-PRF-4)."""
    return 5 * MINUTE_MS + LEASE_MS


def at_once(rate: Rate) -> int:
    return AT_ONCE_MS


def stall(rate: Rate) -> int:
    """R-ALM-5: the later of 15 min and the board's slack of 32 counts; a step may have been begun."""
    return max(15 * MINUTE_MS, rate.ms_of_counts(32 + 2))


def five_microlitres(percent: float) -> Callable[[Rate], int]:
    """R-ALM-3: 5 uL (500 steps) and 1 % of what was used since refill, half an hour of it before the fault."""
    return lambda rate: rate.ms_of_steps((500 + 2) * 100 / percent) + MINUTE_MS


def short_by_ten(rate: Rate) -> int:
    """R-ALM-6: 5 % or more over the longer of 24 h and 640 counts finds what lies on the edge of 10 % over 15 min."""
    return max(DAY_MS, rate.ms_of_counts(640)) + MINUTE_MS


def runaway_limit(steps_s: int) -> Callable[[Rate], int]:
    """R-ALM-5: 64 counts ahead (with one for the edge, and what lay behind by the slack), found within one lease."""
    return lambda rate: (65 + 32) * 3200 * 1000 // (4096 * steps_s) + LEASE_MS


def oversteps_limit(rate: Rate) -> int:
    """The same for a rotor that makes a tenth too much."""
    return rate.ms_of_counts((65 + 32) * 10) + LEASE_MS


STALL_TEXT = "15 min or 32 counts"
HOUR_TEXT = "1 h (self-test)"
PIECE_TEXT = "one piece of the plan"

SINGLE = (
    Fault("driver dead", "R-ALM-5", "MOTOR_STALL", "HIGH", ON, plant("driver_dead"), stall, STALL_TEXT),
    Fault("motor stalled", "R-ALM-5", "MOTOR_STALL", "HIGH", ON, plant("motor_stalled"), stall, STALL_TEXT),
    Fault("witness dead", "R-ALM-5", "MOTOR_STALL", "HIGH", ON, plant("witness_dead"), stall, STALL_TEXT),
    Fault("step engine dead", "R-ALM-11", "MOTOR_STALL", "HIGH", WITHHELD, plant("engine_dead"), stall, STALL_TEXT),
    Fault(
        "driver dead in a bolus",
        "R-ALM-5",
        "MOTOR_STALL",
        "HIGH",
        ON,
        plant("driver_dead"),
        lambda rate: 1000,
        "1 s or 32 counts",
        in_bolus=True,
    ),
    Fault(
        "rotor slips 10 %", "R-ALM-6", "UNDER_DELIVERY", "HIGH", ON, plant("motor_slips", percent=10), short_by_ten, "24 h or 640 counts"
    ),
    Fault(
        "rotor slips 10 %, account",
        "R-ALM-3",
        "FLOW_DISCREPANCY",
        "HIGH",
        ON,
        plant("motor_slips", percent=10),
        five_microlitres(10),
        "5 uL and 1 %",
    ),
    Fault(
        "rotor oversteps 10 %, slowly",
        "R-ALM-3",
        "FLOW_DISCREPANCY",
        "HIGH",
        ON,
        plant("motor_oversteps", percent=10),
        five_microlitres(10),
        "5 uL and 1 %",
        rates=("lowest",),
    ),
    Fault(
        "rotor oversteps 10 %",
        "R-ALM-5",
        "OVER_DELIVERY",
        "HIGH",
        STOPS,
        plant("motor_oversteps", percent=10),
        oversteps_limit,
        "64 counts and a lease",
        rates=("usual", "highest"),
    ),
    Fault(
        "over-delivery",
        "R-ALM-5",
        "OVER_DELIVERY",
        "HIGH",
        STOPS,
        plant("runaway", steps_per_s=10),
        runaway_limit(10),
        "64 counts and a lease",
    ),
    Fault("tube worn, past its hours", "R-CAL-1", "CAL_EXPIRED", "MEDIUM", ON, Stand.wear_out, lambda rate: HOUR_MS, "1 h (none stated)"),
    Fault(
        "tube worn, gives 20 % less",
        "R-FIL-2",
        "REFILL_DISCREPANCY",
        "MEDIUM",
        ON,
        Stand.wear_and_refill,
        lambda rate: 1000,
        "at the refill",
        BOLUS,
        rates=("highest",),
    ),
    Fault(
        "switch broken in a bolus",
        "R-CAP-2",
        "PORT_OPEN",
        "HIGH",
        ON,
        plant("port_unreadable"),
        lambda rate: AT_ONCE_MS,
        "at once",
        in_bolus=True,
    ),
    Fault(
        "switch bounces in a bolus",
        "R-CAP-2",
        "PORT_OPEN",
        "HIGH",
        ON,
        plant("port_bounces", period_ms=5),
        lambda rate: AT_ONCE_MS,
        "at once",
        in_bolus=True,
    ),
    Fault("switch broken", "R-CAP-2", "PORT_OPEN", "HIGH", ON, plant("port_unreadable"), lambda rate: AT_ONCE_MS, "at once"),
    Fault("ADC stuck", "R-ALM-4", "BATTERY_LOW", "LOW", ON, plant("converter_stuck"), a_self_test, HOUR_TEXT, BOLUS),
    Fault("ADC saturated high", "R-ALM-4", "BATTERY_LOW", "LOW", ON, plant("converter_saturated"), a_self_test, HOUR_TEXT, BOLUS),
    Fault("ADC saturated low", "R-ALM-4", "BATTERY_LOW", "LOW", ON, plant("converter_saturated", mv=0), a_self_test, HOUR_TEXT, BOLUS),
    Fault("battery sags under motion", "R-ALM-5", "MOTOR_STALL", "HIGH", ON, plant("battery_sags", mv=1200), stall, STALL_TEXT),
    Fault(
        "battery cannot drive the motor",
        "R-ALM-4",
        "BATTERY_DEPLETED",
        "HIGH",
        STOPS,
        plant("battery_curve", points=[[0.0, 2900.0]]),
        a_self_test,
        HOUR_TEXT,
    ),
    Fault(
        "flash full",
        "R-ALM-8",
        "MEMORY_FAULT",
        "HIGH",
        ON,
        spoil(FLASH_FULL),
        lambda rate: 15 * MINUTE_MS + LEASE_MS,
        "15 min (next record)",
    ),
    Fault("flash loses one copy", "R-ALM-8", "MEMORY_FAULT", "HIGH", ON, spoil(FLASH_ONE_COPY), a_self_test, HOUR_TEXT),
    Fault("flash loses both copies", "R-ALM-11", "MEMORY_FAULT", "HIGH", WITHHELD, spoil(FLASH_DEAD), a_self_test, HOUR_TEXT),
    Fault(
        "flash full, a commit, reset",
        "R-ALM-8",
        "MEMORY_FAULT",
        "HIGH",
        ON,
        both(spoil(FLASH_FULL), Stand.commit_another),
        at_once,
        "at once",
        also=Stand.refused_and_whole,
    ),
    Fault(
        "flash full, STOP that says kept=no, reset",
        "R-OVD-1",
        "MEMORY_FAULT",
        "HIGH",
        ON,
        both(spoil(FLASH_FULL), Stand.stop),
        at_once,
        "at once",
        also=Stand.stopped_until_reset,
    ),
    Fault(
        "journal unreadable once, at a reset",
        "R-ALM-11",
        "",
        "",
        ON,
        both(Stand.remember, spoil(READ_ONCE), Stand.reset),
        lambda rate: BOOT_MS,
        "no harm",
        BOLUS,
        also=Stand.account_whole,
    ),
    Fault(
        "account unreadable at a reset",
        "R-ALM-8",
        "MEMORY_FAULT",
        "HIGH",
        ON,
        both(Stand.remember, spoil(ACCOUNT), Stand.reset),
        lambda rate: BOOT_MS,
        "at the restart",
        also=Stand.account_covers,
    ),
    Fault("program in RAM changed", "R-ALM-8", "MEMORY_FAULT", "HIGH", ON, spoil(RAM_PROGRAM), a_piece, PIECE_TEXT),
    Fault("plan in RAM changed", "R-ALM-8", "MEMORY_FAULT", "HIGH", ON, spoil(RAM_PLAN), a_piece, PIECE_TEXT),
    Fault("board data in RAM changed", "R-BOL-3", "", "", ON, spoil(RAM_BOARD), a_self_test, HOUR_TEXT, part="board"),
    Fault("code changed", "R-ALM-11", "MEMORY_FAULT", "HIGH", WITHHELD, spoil(CODE), a_self_test, HOUR_TEXT),
    Fault("clock lost with the power", "R-ALM-8", "CLOCK_LOST", "MEDIUM", LOWEST, Stand.cut_power, lambda rate: BOOT_MS, "at the restart"),
    Fault("kept clock stands", "R-ALM-8", "CLOCK_LOST", "MEDIUM", LOWEST, plant("clock_stands"), a_self_test, HOUR_TEXT),
    Fault("kept clock jumps ahead", "R-ALM-8", "CLOCK_LOST", "MEDIUM", LOWEST, plant("clock_ahead", seconds=3600), a_self_test, HOUR_TEXT),
    Fault("kept clock jumps back", "R-ALM-8", "CLOCK_LOST", "MEDIUM", LOWEST, plant("clock_back", seconds=3600), a_self_test, HOUR_TEXT),
    Fault(
        "ticks jump ahead", "R-ALM-9", "LATE", "HIGH", LOWEST, lambda stand: stand.jump_ticks(7_200_000), lambda rate: LEASE_MS, "a lease"
    ),
    Fault("ticks jump back", "R-ALM-9", "LATE", "HIGH", ON, lambda stand: stand.jump_ticks(-600_000), lambda rate: LEASE_MS, "a lease"),
    Fault("loop late by more than a lease", "R-ALM-9", "LATE", "HIGH", ON, Stand.hold_up, lambda rate: LEASE_MS, "a lease"),
    Fault(
        "a task frozen",
        "R-ALM-9",
        "WATCHDOG_RESET",
        "MEDIUM",
        ON,
        Stand.freeze,
        lambda rate: REPORT_MS + WATCHDOG_MS + BOOT_MS,
        "22 s (report, watchdog, boot)",
        BOLUS,
    ),
    Fault("buzzer dead", "R-BOL-3", "", "", ON, plant("buzzer_dead"), a_self_test, HOUR_TEXT, part="tone"),
)

PAIRS = (
    Fault(
        "witness dead + runaway",
        "R-ALM-5",
        "MOTOR_STALL",
        "HIGH",
        ON,
        both(plant("witness_dead"), plant("runaway", steps_per_s=1)),
        stall,
        STALL_TEXT,
        why="only the witness can see a rotor that turns by itself: with it gone its own death is all that can be told, and must be",
    ),
    Fault(
        "over-delivery + flash full",
        "R-ALM-5",
        "OVER_DELIVERY",
        "HIGH",
        STOPS,
        both(spoil(FLASH_FULL), plant("runaway", steps_per_s=10)),
        runaway_limit(10),
        "64 counts and a lease",
        why="the stop must not wait for a log line that cannot be written",
    ),
    Fault(
        "driver dead + flash full",
        "R-ALM-5",
        "MOTOR_STALL",
        "HIGH",
        ON,
        both(plant("driver_dead"), spoil(FLASH_FULL)),
        stall,
        STALL_TEXT,
        why="two reasons against a bolus and none against trying on with basal",
    ),
    Fault(
        "ADC stuck + battery gone",
        "R-ALM-5",
        "MOTOR_STALL",
        "HIGH",
        ON,
        both(plant("converter_stuck"), plant("battery_curve", points=[[0.0, 2600.0]])),
        stall,
        STALL_TEXT,
        why="the alarm for the battery is blind; that nothing turns must be seen all the same",
    ),
    Fault(
        "program in RAM changed + one copy lost",
        "R-ALM-8",
        "MEMORY_FAULT",
        "HIGH",
        ON,
        both(spoil(FLASH_ONE_COPY), spoil(RAM_PROGRAM)),
        a_piece,
        PIECE_TEXT,
        why="one good copy of three is left: that one must run",
    ),
    Fault(
        "program in RAM changed + no copy left",
        "R-ALM-8",
        "MEMORY_FAULT",
        "HIGH",
        WITHHELD,
        both(spoil(FLASH_DEAD), spoil(RAM_PROGRAM)),
        a_piece,
        PIECE_TEXT,
        why="nothing good is left: to go on would give a wrong dose, and a save would make it the good copy",
    ),
    Fault(
        "clock lost with the power + one copy lost",
        "R-ALM-8",
        "CLOCK_LOST",
        "MEDIUM",
        LOWEST,
        both(spoil(FLASH_ONE_COPY), Stand.cut_power),
        lambda rate: BOOT_MS,
        "at the restart",
        why="the restart has to find its program in the copy that is left, and no time",
    ),
    Fault(
        "task frozen + clock lost",
        "R-ALM-9",
        "WATCHDOG_RESET",
        "MEDIUM",
        LOWEST,
        both(plant("clock_lost"), Stand.freeze),
        lambda rate: REPORT_MS + WATCHDOG_MS + BOOT_MS,
        "22 s (report, watchdog, boot)",
        why="a reset that nobody planned, into no time of day",
    ),
    Fault(
        "switch broken in a bolus + driver dead",
        "R-CAP-2",
        "PORT_OPEN",
        "HIGH",
        ON,
        both(plant("driver_dead"), plant("port_unreadable")),
        lambda rate: AT_ONCE_MS,
        "at once",
        in_bolus=True,
        why="two causes end one bolus: it must end once, and be booked once",
    ),
    Fault(
        "loop late + kept clock jumps ahead",
        "R-ALM-9",
        "LATE",
        "HIGH",
        LOWEST,
        both(plant("clock_ahead", seconds=3600), Stand.hold_up),
        lambda rate: LEASE_MS,
        "a lease",
        why="the jump could pass for the delay, and the delay for the jump",
    ),
)
TABLE = SINGLE + PAIRS
