"""A simulated pump in mid-therapy on which faults are brought about, and what the bench itself sees of it."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hil.channel import Channel
from hil.errors import Refused
from hil.link import Link, Restarted
from hil.plant.config import RigConfig
from hil.plant.rig import Rig
from hil.pump import Pump, leading_int
from hil.scenario import CALIBRATION, History
from hil.targets.unix import UnixTarget
from tools.faults.rate import BOLUS_NL, DAY_MS, HOUR_MS, SPM, START_MIN, Rate

FAULTY = Path(__file__).resolve().parents[1] / "micropython" / "faulty_pump.py"
MIDNIGHT_S = 1_809_302_400  # 2027-05-03 00:00, a Monday
START_MS = START_MIN * 60_000
LEAD_MS = 30 * 60_000  # the therapy runs before its fault
SPREAD_MS = 10 * 60_000  # and up to so much longer, by the seed
BEFORE_THE_DOG_MS = 20  # the report counts little longer than the leases last
HOSTED_S = 86_400 * 400  # since the last increase
CAL_HOURS = 2
STOPPED_MS = 600_000
RESERVATION_NL = 10_000  # DESIGN, "The account"


class Stand:
    """One pump, from power on; `now_ms` is the time since midnight before its start."""

    def __init__(self, rate: Rate, seed: int, work: Path) -> None:
        self.rate = rate
        rig = Rig(RigConfig(rtc_unix_s=MIDNIGHT_S + START_MS // 1000, encoder_start=seed * 977), seed)
        self.rig = rig
        self.target = UnixTarget(rig, seed=seed, work=work, script=FAULTY)
        self.target.lockstep.ticks_start = Random(seed).getrandbits(30)  # its ticks may wrap at any time
        self._random = Random(seed)
        self.began_ms = 0  # when the fault came about, where that is not when it was ordered
        self.said = ""  # what the pump answered to what a person did
        self.sounded_ms = 0  # when the news of has_news() came
        self._heard = b""  # what the pump said since quiet()
        self._tones = 0  # of the lock-step's list, looked at

    # ---- setting up

    def set_up(self, cal_hours: int) -> None:
        """Clock, calibration, the therapy taken over, RUN, and some time of it."""
        self.target.start()
        self.target.advance_to(2000)
        self.link = Link(self.target.channel(), wall=self.target.unix_s, seed=1)
        self.target.on_restart(lambda cause: self.link.forget())
        self.pump = Pump(self.link, self.target.unix_s)
        self.open()
        self.pump.set_time(int(self.target.unix_s()), 0)
        self.pump.calibrate({**CALIBRATION, "hours": str(cal_hours)})
        program = self.rate.program
        history = History("spinal", "1980-05-01", "maintenance", program, 50, "short", HOSTED_S, 19_000_000, "L1", "2029-01-01")
        self.pump.take_over(history, program, program.conc_mcg_ml)
        self.pump.run()
        self.advance(LEAD_MS + self._random.randrange(SPREAD_MS))

    def open(self) -> None:
        for _ in range(5):
            try:
                self.pump.open()
                return
            except Restarted:
                continue

    def close(self) -> None:
        self.target.close()

    # ---- time

    @property
    def now_ms(self) -> int:
        return START_MS + self.target.now_ms()

    def advance(self, ms: int) -> None:
        self.target.advance_to(self.target.now_ms() + ms)

    def listen(self, ms: int) -> None:
        """Let time pass without a word to the pump. An edge of a bouncing switch wakes it, as the interrupt of a board does."""
        self.advance(ms)
        if self.rig.port.bounce_us:
            self.target.rig_changed(port=True)
        channel: Channel = self.target.channel()
        self._heard += channel.receive(0)

    def quiet(self) -> None:
        """What was told until now is no news."""
        self.listen(0)
        self._heard, self._tones, self.began_ms = b"", len(self.target.lockstep.tones), 0

    def has_news(self, code: str) -> bool:
        """It sounded, or named this alarm on the line, since the last look; sounded_ms says when."""
        tones, self._tones = self.target.lockstep.tones[self._tones :], len(self.target.lockstep.tones)
        sounds = [ms for ms, signal in tones if signal]
        named = f"{code} on".encode() in self._heard
        self.sounded_ms = START_MS + sounds[0] if sounds else 0
        return bool(sounds) or named or self.link.session is None

    def dropped_ms(self) -> int | None:
        """When the pump dropped the motor's enable; None while it is kept on."""
        return None if self.rig.enabled else START_MS + (self.rig.enable_until_us + 1) // 1000

    def came_on_ms(self, code: str) -> int:
        """When the alarm of has_news() came on: when it sounded; if another sounded already, by its own word, to the second's end."""
        if self.sounded_ms:
            return self.sounded_ms
        since_s = leading_int(self.alarms()[code]["since"])
        return min(self.now_ms, (since_s - MIDNIGHT_S) * 1000 + 999)

    # ---- faults

    def fault(self, name: str, **params: object) -> None:
        self.rig.fault(name, **params)
        if name.startswith("port"):
            self.target.rig_changed(port=True)

    def inject(self, bits: int) -> None:
        """The firmware is told at its next look; nobody wakes it for that."""
        self.target.lockstep.injected |= bits

    def cut_power(self) -> None:
        """Out for a minute, with the kept clock."""
        self.target.power_cut(60_000, clock_kept=False)

    def freeze(self) -> None:
        """The processor computes no more."""
        self.target.hang()

    def hold_up(self) -> None:
        """The loop comes late by more than a lease, and goes on just before its watchdog would end it."""
        self.target.hang()
        self.advance(self.target.lockstep.dog_left_ms - BEFORE_THE_DOG_MS)
        self.target.lockstep.hung = False
        self.target.lockstep.nudge()

    def jump_ticks(self, ms: int) -> None:
        lockstep = self.target.lockstep
        lockstep.ticks_start = (lockstep.ticks_start + ms) % (1 << 30)

    def wear_out(self) -> None:
        """The tube gives less; its calibration is about to end (CAL:SET hours)."""
        self.rig.fault("tube_worn", percent=10)
        self.began_ms = self.now_ms + max(0, START_MS + CAL_HOURS * HOUR_MS + 2000 - self.now_ms)
        self.advance(self.began_ms - self.now_ms)

    def wear_and_refill(self) -> None:
        """A fifth less for a day; then a person finds what was not delivered in the reservoir."""
        self.rig.fault("tube_worn", percent=20)
        self.advance(DAY_MS)
        self.reopen()
        left_nl = int(self.rig.reservoir.volume_nl) - 1_000_000  # 20 mL in the rig, 19 mL by the record
        self.began_ms = self.now_ms
        fields = {
            "path": "septum", "fluid": "drug", "drug": "baclofen", "volume": "10000000nl", "conc": "500mcg/ml", "lot": "L2",
            "expiry": "2029-01-01", "withdrawn": f"{left_nl}nl", "stored": "ok", "attended": "yes",
        }  # fmt: skip
        self.link.command("RES:REFILL", fields)

    # ---- what a person does on a broken storage, and what must have become of it

    def commit_another(self) -> None:
        """A tenth less a day."""
        other = Rate("another", self.rate.day_ng * 9 // 10)
        self.reopen()
        try:
            self.pump.commit(other.program, confirm=True)
            self.said = "OK"
        except Refused as refused:
            self.said = refused.code

    def refused_and_whole(self) -> str:
        """The commit was refused for the storage, and the old program runs, also after a reset."""
        if self.said != "STORAGE":
            return f"the commit was answered {self.said}"
        held = [self._program()]
        self.reset()
        held.append(self._program())
        return "" if held == [self.rate.program.hash()] * 2 else f"the programs in force were then {held}"

    def _program(self) -> str:
        self.reopen()
        return self.link.ask("PROG?").get("hash", "none")

    def stop(self) -> None:
        self.reopen()
        self.said = self.link.command("STOP").get("kept", "yes")

    def stopped_until_reset(self) -> str:
        """STOP was obeyed at once, and said that it is not kept: a reset then goes on with what the storage knows (R-ALM-11)."""
        made, turned = self.pulses, self.turned
        self.listen(STOPPED_MS)
        if self.pulses != made or self.turned != turned:
            return f"it moved on after STOP by {self.pulses - made} pulses"
        if self.said != "no":
            return f"STOP was answered kept={self.said}, and could not be"
        self.reset()
        return ""

    def reset(self) -> None:
        """The power fails for a second; the kept clock goes on."""
        self.target.power_cut(1000)

    def remember(self) -> None:
        self._before = self.pump.counts()

    def account_covers(self) -> str:
        """What was made is in the account, with what is in doubt."""
        self.reopen()
        counts = self.pump.counts()
        return "" if counts.authorised >= self.pulses else f"the account has {counts.authorised} steps, {self.pulses} were made"

    def account_whole(self) -> str:
        """All that was made is in the account, and no more is in doubt than one reservation."""
        self.reopen()
        counts, doubt = self.pump.counts(), RESERVATION_NL * SPM // 1_000_000
        if counts.uncertain > RESERVATION_NL + self._before.uncertain:
            return f"{counts.uncertain} nl are uncertain"
        if not self.pulses <= counts.authorised <= self.pulses + doubt:
            return f"the account has {counts.authorised} steps, {self.pulses} were made"
        return ""

    # ---- what is seen

    @property
    def pulses(self) -> int:
        """On the step pin, over every boot."""
        return self.rig.engine.total

    @property
    def turned(self) -> float:
        """Steps the rotor has turned."""
        return self.rig.rotor.steps

    def reopen(self) -> None:
        if self.link.session is None:
            self.open()

    def bolus(self) -> str:
        """Ask for one: OK, or the code of its refusal."""
        self.reopen()
        try:
            self.link.command("DOSE:BOLUS", {"volume": f"{BOLUS_NL}nl", "path": "pump"})
        except Refused as refused:
            return refused.code
        return "OK"

    def alarms(self) -> dict[str, dict[str, str]]:
        self.reopen()
        return self.pump.alarms()

    def status(self) -> dict[str, str]:
        self.reopen()
        return self.pump.stat()

    def self_test(self) -> dict[str, str]:
        self.reopen()
        return self.link.ask("SELF?")
