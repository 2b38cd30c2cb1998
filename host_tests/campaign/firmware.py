"""The firmware's side: a real Pump with the real command handlers over the stub board, and time that jumps.

A jump is cut where the firmware itself would act: the end of a delivery, the port's switch coming to rest, the first
step of a program, and often enough that no pause is seen where none was.
"""

from types import SimpleNamespace

from campaign.stub_board import LOOK_BACK_MS, JumpBasal, JumpBoard, JumpDosing, JumpKeeper
from doseloop import boot, caps
from doseloop.commands import Commands
from doseloop.deliver import DELIVER
from doseloop.operate import CHANGE
from doseloop.program import Staging
from doseloop.pump import Pump
from doseloop.staging import Stage
from doseloop.status import ASK
from doseloop.taper import make_program
from doseloop.treat import TREAT
from doseloop.units import HOUR_MS, Refusal
from doseloop.watch import Watch
from doseloop.wire import Request

PASSED = SimpleNamespace(passed=True, is_sound=lambda: True, turn=lambda now: None, due_in=lambda now: 3_600_000)  # a self-test

_LONGEST_JUMP_MS = 4 * HOUR_MS
_SESSION = "00c0ffee"


class Answer:
    """code: OK or the refusal's; fields: what the reply or the refusal carries, as text by name."""

    def __init__(self, code, fields):
        self.code = code
        self.fields = fields

    def figure(self, name):
        """The figure at the head of a field, None if there is none."""
        text = self.fields.get(name, "")
        digits = text[: len(text) - len(text.lstrip("0123456789"))]
        return int(digits) if digits else None

    def __repr__(self):
        return " ".join([self.code] + ["{}={}".format(*item) for item in self.fields.items() if item[0] != "confirm"])


class NoWindows:
    """windows.Windows left out: its alarms are inputs of the campaign."""

    under_delivery = withdrawal_risk = False

    def __init__(self):
        self.begun = 0

    def begin(self, now):
        self.begun = now

    def quarter(self, now, programmed, authorised, witnessed):
        pass


class Firmware:
    """One pump from its first boot on."""

    def __init__(self):
        self.hal = JumpBoard()
        self.keeper = JumpKeeper()
        self._handlers = {}
        for table in (ASK, CHANGE, TREAT, DELIVER):
            self._handlers.update(table)
        self._ids = 0
        self.sent = None  # (verb, arguments) of the last request
        self._boot()
        self.send("TIME", {"set": f"{self.hal.rtc()}s", "offset": "0min"})
        self.jump(1000)

    def _boot(self):
        pump = self.pump = Pump(self.hal)
        pump.keeper = self.keeper
        self.keeper.clock = pump.clock
        pump.basal = JumpBasal(pump.clock)
        pump.dosing = JumpDosing(self.hal, pump.basal.rate_at, pump.clock)
        pump.windows = NoWindows()
        pump.watch = Watch(pump)
        pump.self_test = PASSED
        self._commands = Commands(pump, self._handlers)
        pump.watch.look_at_supplies = lambda now: None  # an empty reservoir is not played: see Play.do_empty
        boot.restore(pump)
        del pump.watch.look_at_supplies
        self._look()

    # Time.

    def unix_ms_at_zero(self):
        """Unix time at elapsed 0, in ms."""
        return self.hal.unix_at_zero + self.hal.ms - self.now()

    def now(self):
        return self.pump.clock.elapsed

    def jump(self, ms):
        """Let `ms` pass."""
        end = self.now() + ms
        while self.now() < end:
            stop = min([end, self.now() + _LONGEST_JUMP_MS, *self._due(end)])
            self.hal.ms += stop - self.now()
            self.pump.clock.update()
            self._look()
            if self.pump.delivering and not self.keeper.holding:
                self.pump.write_sample()

    def _due(self, end):
        """Times at which a jump to `end` is cut; changes of rate only where a boot after it would look back."""
        pump, now = self.pump, self.now()
        delivery, port = pump.deliveries.current, pump.port
        dues = [delivery.started + delivery.span_ms] if delivery else []
        if port.open and not self.hal.reads_open:
            dues.append(now + port.due_in(now))
        if pump.delivering and not pump.basal.is_even():
            change = pump.dosing.next_change()
            dues.append(change if change > now >= end - LOOK_BACK_MS else end)
        return dues

    def _look(self):
        """What a turn of the loop would find."""
        pump, now = self.pump, self.now()
        if pump.port.check(now, self.hal.port_open()) or pump.port.open:
            pump.watch._port(now)
        delivery = pump.deliveries.current
        if delivery and now >= delivery.started + delivery.span_ms:
            pump.end_delivery()
            pump.flow()
        pump.watch.settle_force(now)
        pump.refresh()
        if self.keeper.dirty and not self.keeper.holding:
            pump.save()
        if pump.delivering and not self.keeper.holding and not self.keeper.says_running():
            pump.write_sample()  # the first reservation after a resume

    def awaited_step(self):
        """Elapsed ms of the first step that what is delivered waits for to take force; None if it waits for none."""
        return self.pump.dosing.first_step_in_sight() if self._waits() else None

    def _waits(self):
        program, therapy = self.pump.basal.program, self.pump.therapy
        last = therapy.last_run
        return self.pump.delivering and (last is None or last.hash != program.hash or therapy.ended)

    def held_since(self):
        """[(elapsed ms, held or not)]: changes of the rule of R-PRF-4 since it was last asked."""
        return self.pump.basal.take_holds(self.now())

    # Commands.

    def send(self, verb, args):
        """Dispatch one request; its Answer."""
        self.sent = verb, args
        try:
            reply = self._commands.dispatch(Request(verb, args, 1, "service", _SESSION))
        except Refusal as refusal:
            answer = Answer(refusal.code, {name: str(value) for name, value in refusal.fields})
        else:
            answer = Answer("OK", {name: str(value) for name, value in reply})
        self._look()
        return answer

    def dated(self, verb, args, order):
        """A command with an id and its time; confirmed as the order says. order: as orders.ORDER."""
        args = dict(args, at=f"{max(0, self.pump.clock.unix_s() - order['age_s'])}s", ttl="60s")
        return self.confirmed(verb, self._with_id(args), order["confirm"])

    def numbered(self, verb, args):
        """A command with an id."""
        return self.send(verb, self._with_id(args))

    def _with_id(self, args):
        self._ids += 1
        return dict(args, id=f"{self._ids:08x}")

    def confirmed(self, verb, args, how):
        """how: yes = repeat with the token, no = leave it, wrong = repeat with another token."""
        answer = self.send(verb, args)
        if not answer.code.startswith("CONFIRM_") or how == "no":
            return answer
        token = answer.fields["confirm"] if how == "yes" else "%08x" % (int(answer.fields["confirm"], 16) ^ 1)
        return self.send(verb, dict(args, confirm=token))

    def caps(self):
        """{name: text} of STAT? part=caps, without the way there."""
        pump, now = self.pump, self.now()
        told = dict(caps.find_caps(pump.therapy, pump.clock.today(), now))
        told.update(caps.history(pump.therapy, now, pump.delivering))
        return told

    def stage(self, lines):
        """Put a program where PROG:NEW, PROG:SET and PROG:SEG would; its hash."""
        staging = Staging("c")
        staging.values = dict([line.split("=", 1) for line in lines])
        self.pump.stage = Stage(staging, _SESSION, self.now())
        return make_program(lines).hash

    # What happens to it.

    def cut_power(self, outage_ms):
        """The processor dies now; outage_ms None: nobody knows for how long. The account is known up to the cut, save for one step.

        While a delivery moves nothing is written: the account is known up to its start, and what basal flowed beside it is in doubt.
        Returns by how many ng the account of the last 24 h that the boot read back was off.
        """
        pump = self.pump
        pump.advance(pump.clock.update())
        if not self.keeper.holding:
            pump.write_sample(1 if pump.delivering else 0)
        moving = pump.deliveries.current
        given, was_held = pump.basal.given_until(moving.started if moving else self.now()), pump.basal.told_hold()
        self.hal.boot(3_600_000 if outage_ms is None else outage_ms, outage_ms is not None)
        self._boot()
        return self.pump.basal.know_exactly(given, self.now(), was_held)

    def set_alarm(self, code, is_on):
        self.pump.alarms.set(code, is_on, self.now())
        self.pump.refresh()

    def open_port(self, is_open):
        self.hal.reads_open = is_open
        self._look()
