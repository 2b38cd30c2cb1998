"""Decisions over whole therapies: screening or a take-over, then programs asked for, run, stopped, tapered, returned to.

A life stands for what pump.py does around the record: Basal lays out what runs, Therapy is told, judge is asked.
"""

from doseloop import caps, judge, label
from doseloop.basal import Basal
from doseloop.taper import make_program
from doseloop.therapy import OVERDOSE, RETURN, Therapy
from doseloop.units import DAY_MS, HOUR_MS, MINUTE_MS

BOARD = {"max_rate_nl_h": 150_000_000, "reservation_nl": 10_000}
WEEK_MS = 7 * DAY_MS
TODAY = (2027, 5, 3)
CAPACITY_NL = 20_000_000
WAITS = (0, MINUTE_MS, HOUR_MS, 4 * HOUR_MS, 6 * HOUR_MS + 1, 12 * HOUR_MS, DAY_MS - 1, DAY_MS, 2 * DAY_MS, 5 * DAY_MS, 15 * DAY_MS)
# Of the dose last run, in 1/1000: about the limits of 2.5 and 2.6, and plain steps.
SHARES = (1000, 1000, 1050, 1100, 1149, 1150, 1151, 1200, 1299, 1300, 1301, 1400, 1401, 1500, 900, 801, 800, 799, 500, 2000, 2001)
BIRTHS = ((2010, 6, 1), (2018, 1, 1), (2015, 5, 4), (2015, 5, 3), (2009, 5, 4), (2023, 5, 3))


class WeekClock:
    """A set clock: the week begins at an elapsed time of its own."""

    def __init__(self, monday):
        self._monday = monday

    def is_set(self):
        return True

    def week_ms(self, elapsed):
        return (elapsed + self._monday) % WEEK_MS


class Life:
    """One therapy and what is delivered in it."""

    def __init__(self, draw):
        self.draw = draw
        self.now = draw.below(1 << 36)
        self.clock = WeekClock(draw.below(WEEK_MS))
        self.therapy = Therapy()
        self.basal = Basal(self.clock)
        self.population = draw.pick(label.POPULATIONS)
        self.birth = draw.pick(BIRTHS) if self.population == label.PEDIATRIC else (1980, 5, 1)
        if draw.one_in(40):
            self.birth = (2023, 5, 4)
        self.conc = 50 if draw.one_in(20) else draw.pick((500, 2000))
        self.run_on = False

    # What is asked for.

    def program(self):
        draw, daily = self.draw, self.near()
        lines = ["name=p", "conc=%d" % (self.conc if draw.below(30) else 777)]
        if draw.one_in(8 if self.therapy.phase in (label.TITRATION, label.MAINTENANCE) else 60):
            return make_program(lines + self._taper(daily * draw.pick((1000, 1000, 900, 801, 700, 1100)) // 1000))
        noon = daily * draw.pick((50, 45, 60, 30)) // 100 if draw.one_in(6) else 0
        lines.append("seg.all.00:00=%d" % (daily - noon))
        if noon:
            lines.append("seg.all.12:00=%d" % noon)
        if draw.one_in(15):
            lines.append("seg.sun.00:00=%d" % (daily * draw.pick((100, 95, 90)) // 100))
        if draw.one_in(8):
            lines += ["bolus_volume=1000", "bolus_time=60", "bolus_lockout=60", "bolus_allowance=%d" % (1 + daily // 20)]
        return make_program(lines)

    def near(self):
        """A daily dose, ng: a share of the one last run, or what the caps allow at most or at least, to 1 ng."""
        draw, base = self.draw, self.therapy.base(self.now)
        if draw.one_in(30):
            return draw.below(2_500_000)
        if base and draw.one_in(2):
            return base.daily.floor() * draw.pick(SHARES) // 1000
        answer = caps.find_caps(self.therapy, TODAY, self.now)[draw.pick((0, 0, 0, 1, 4))][1]
        return max(0, int(answer[:-2]) + draw.pick((0, 0, 0, -1, 1)))

    def _taper(self, daily):
        days = []
        for i in range(self.draw.pick((13, 14, 14, 14, 28))):
            days.append("taper.%02d=%d" % (i + 1, daily))
            daily = -(-daily * self.draw.pick((80, 85, 90, 100, 100)) // 100)
        return days

    def case(self):
        draw = self.draw
        reason = OVERDOSE if draw.one_in(15) else None
        return judge.Case(
            self.now, TODAY, self.clock.week_ms(self.now), self.conc, BOARD, self.basal, draw.below(20) > 0, reason, draw.below(5) > 0
        )

    def decide(self, tried):
        """Ask; if it may start, now and then it does. Returns the answer."""
        program, case = self.program(), self.case()
        found = tried(judge.check, self.therapy, program, case)
        if isinstance(found, tuple):
            if found[1] == "STEP_CAP":
                return program.hash, found, self.therapy.note_refused_increase(self.now)
            return program.hash, found
        answer = (program.hash, found.notes, found.confirm, found.returns)
        if self.draw.one_in(2):
            answer += (self.commit(program, RETURN if found.returns else case.reason or "ordinary"),)
        return answer

    def commit(self, program, kind):
        last, old = self.therapy.last_run, self.basal.program
        self.basal.cut_given(self.now)
        self.basal.change(program, self.now, old is not None and last is not None and last.hash == old.hash)
        self.therapy.note_commit(kind, self.now)
        return self.begin() if self.run_on else None

    # What happens.

    def begin(self):
        """The first step of what is committed."""
        program = self.basal.program
        if program.is_taper and program.start is None:
            program.start = self.now
        self.therapy.came_into_force(program, self.now)
        return self.therapy.took_force(program, self.now, self.now)

    def run(self, tried):
        if self.basal.program is None or self.run_on:
            return "no"
        if self.therapy.last_run is not None and self.therapy.last_run.hash == self.basal.program.hash:
            found = tried(judge.check_resume, self.therapy, self.basal.program, self.case())
        else:
            found = tried(judge.check, self.therapy, self.basal.program, self.case())
        if isinstance(found, tuple):
            return found
        self.run_on = self.basal.on = True
        self.therapy.resume(self.now)
        return self.begin()

    def stop(self):
        if self.run_on:
            self.basal.cut_given(self.now)
            self.run_on = self.basal.on = False
            self.therapy.note_stop(self.now)

    def wait(self):
        end = self.now + self.draw.pick(WAITS if self.draw.one_in(2) else (DAY_MS,)) + self.draw.pick((0, 0, 1, 12_345))
        while self.run_on and self.now < end:
            _, _, for_ms = self.basal.rate_at(self.now)
            self.now = min(end, self.now + for_ms)
            self.basal.cut_given(self.now)
            self.therapy.note_running(self.now, not self.basal.is_over(self.now))
        self.now = end

    def restart(self):
        """Power is cut: the record comes back from its dump, what was given as one stretch."""
        fresh = Therapy()
        fresh.load(self.therapy.dump(self.basal.program), make_program, self.basal.program)
        self.therapy = fresh
        given = self.basal.given_since([self.now - DAY_MS], self.now)[0]
        basal = Basal(self.clock)
        basal.program, basal.on = self.basal.program, self.basal.on
        basal.load(self.basal.dump())
        basal.restore_given(self.now - DAY_MS, self.now, given.ceil())
        self.basal = basal

    def told(self):
        therapy = self.therapy
        answer = (therapy.phase, therapy.running_for(self.now), therapy.in_force(self.now) == [], self.basal.given_since([0], self.now)[0])
        if therapy.population is None:
            return answer
        return answer + (caps.find_caps(therapy, TODAY, self.now), caps.history(therapy, self.now, self.run_on))


def screened(life, draw, tried):
    """A record and a trial, dose after dose, until it ends or somebody gives up."""
    therapy, trial = life.therapy, life.therapy.trial
    population = life.population if draw.below(8) else draw.pick(label.POPULATIONS)
    injury = draw.pick((None, None, (2026, 5, 3), (2026, 5, 4), (2027, 5, 4)))
    yield tried(judge.check_record, population, life.birth, injury, TODAY)
    therapy.record(life.population, life.birth, None)
    therapy.phase = label.SCREENING
    while therapy.phase == label.SCREENING and draw.below(12):
        dose = draw.pick(trial.next_doses(life.population) or label.SCREEN_DOSES_NG) if draw.below(4) else draw.pick(label.SCREEN_DOSES_NG)
        answer = tried(trial.check_dose, dose, life.population), tried(trial.check_gap, life.now)
        yield answer
        if answer == (None, None):
            trial.begin(dose, life.now)
            trial.end(draw.pick(("DONE", "DONE", "DONE", "PARTIAL", "UNCERTAIN")), life.now + 60_000)
        life.wait()
        result, effect = draw.pick(("positive", "inadequate", "inadequate")), draw.pick((None, None, "short", "long"))
        answer = tried(trial.require_unanswered)
        if answer is None:
            answer = tried(trial.check_waits, result, effect, life.now)
        yield result, effect, answer
        if answer is None:
            therapy.respond(result)
            therapy.effect = effect or therapy.effect
            yield trial.is_failed(), therapy.phase


def taken_over(life, draw):
    record = {
        "population": life.population, "birth": life.birth, "injury": None,
        "phase": draw.pick((label.SCREENED, label.FIRST, label.TITRATION, label.TITRATION, label.MAINTENANCE, label.MAINTENANCE)),
        "screen_ng": draw.pick(label.SCREEN_DOSES_NG), "effect": draw.pick(("short", "long", "unknown")),
        "increase_ago_ms": draw.pick((0, HOUR_MS, DAY_MS - 1, DAY_MS, 9 * DAY_MS)),
    }  # fmt: skip
    program = None
    if record["phase"] != label.SCREENED:
        program = make_program(["name=p", "conc=%d" % life.conc, "seg.all.00:00=%d" % draw.between(50_000, 1_500_000)])
    life.therapy.import_record(record, program, life.now)
    life.basal.program = program


def happening(life, draw, tried):
    kind = draw.below(16)
    if not life.run_on and draw.below(4):
        return life.run(tried)
    if kind < 3 or kind > 11:
        return life.wait()
    if kind < 6:
        return life.run(tried)
    if kind == 6:
        return life.stop()
    if kind == 7:
        return life.therapy.note_refill(life.now, draw.pick((4_999_999, 5_000_000, 18_000_000)), CAPACITY_NL)
    if kind == 8:
        answer = tried(judge.check_wait, life.therapy, life.now)
        if answer is None and life.therapy.phase == label.TITRATION:
            life.therapy.enter_maintenance()
        return answer
    if kind == 9:
        life.therapy.climbs = 0
    elif kind == 10:
        life.restart()
    elif not life.run_on and (draw.one_in(4) or life.therapy.phase == label.NOT_CANDIDATE):
        life.basal.change(None, life.now, False)
        life.therapy.open_trial(life.now, make_program)
        return "new trial"
    return None


def cases(draw, tried):
    while True:
        life = Life(draw)
        if draw.one_in(3):
            yield from screened(life, draw, tried)
        else:
            taken_over(life, draw)
        for _ in range(60):
            yield happening(life, draw, tried), life.told()
            if life.therapy.population is not None and draw.below(3):
                yield life.decide(tried)
            if life.therapy.phase == label.SCREENING:
                yield from screened(life, draw, tried)
