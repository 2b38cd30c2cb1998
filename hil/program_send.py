"""A program and a real (or served) pump: stage, read back, two opinions, and only then, with a person's word, commit.

1. The program is staged and the pump is asked what it holds and thinks (PROG:CHECK?). Nothing of it runs.
2. The oracle judges the same program over the history that the pump tells. A difference is a DEFECT: the end.
3. A person sees the change, the caps and what is to be confirmed, and types the first digits of the hash.
4. PROG:COMMIT of exactly that hash. What the pump asks to confirm is confirmed with its token if it was shown before.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hil import calibrated
from hil.channel import SerialChannel, SerialLog
from hil.errors import BenchError, Refused
from hil.link import Link
from hil.oracle import rules
from hil.oracle.caps import caps as oracle_caps
from hil.prescription import Program
from hil.pump import Pump
from hil.pump_record import NOW_MS, PumpSays, listen, record_of, told
from hil.quantity import span_text
from hil.second_opinion import Opinions, compare, defect_text, oracle_program, save_defect

ACCEPTED, REFUSED = 0, 1
DIGITS = 6  # of the hash, typed by a person
MOST_TOKENS = 4
ROUNDING_NG = 2  # what the pump tells in whole ng


@dataclass(frozen=True)
class Declared:
    """What the person says, and the host never assumes."""

    attended: bool = False
    reason: str = ""
    yes: str = ""  # the whole hash, in place of typing it


@dataclass(frozen=True)
class Examined:
    """A staged program with both opinions on it."""

    program: Program
    says: PumpSays
    checked: Mapping[str, str]
    opinions: Opinions
    attendance: bool  # it is an increase: trained staff and resuscitation are to be declared


class HostClock:
    """What `at=` is dated by: the host's clock; for a simulated pump, which lives in its own time, the pump's."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s

    def follow(self, link: Link) -> None:
        """Date by the clock of a simulated pump."""
        if link.session and link.session.fields.get("board") == "unix":
            self.ahead_s = told(link.ask("STAT?"), "now") - time.time()


@contextmanager
def opened(url: str, log: Path, own: Mapping[str, bytes] | None = None) -> Iterator[tuple[Link, HostClock]]:
    """A session with the pump behind a pyserial URL; every line both ways goes to `log`. own: its keys, None for the default ones."""
    log.parent.mkdir(parents=True, exist_ok=True)
    channel = SerialChannel(url)
    clock, began = HostClock(), time.monotonic()
    kept = SerialLog(log, lambda: time.monotonic() - began)
    try:
        link = Link(channel, log=kept, wall=clock, keys=own)
        link.hello()
        clock.follow(link)
        yield link, clock
    finally:
        channel.close()
        kept.close()


# ---- the question


def examine(link: Link, program: Program, declared: Declared) -> Examined:
    """Stage it, read it back, hear both opinions. A difference is heard twice: time may have passed between two answers."""
    Pump(link, time.time).stage(program)
    asked = {"reason": declared.reason} if declared.reason else {}
    for _ in range(2):
        says, checked = listen(link), link.ask("PROG:CHECK?", asked)
        opinions = compare(program, checked, says, declared.reason)
        if not opinions.differ:
            break
    return Examined(program, says, checked, opinions, _needs_attendance(program, says))


def _needs_attendance(program: Program, says: PumpSays) -> bool:
    judged = oracle_program(program)
    return any(code == "UNATTENDED" for code, _ in rules.who(record_of(says, judged), NOW_MS, judged, attended=False))


def check(link: Link, program: Program, declared: Declared, folder: Path, log: Path | None = None) -> int:
    """Show what the pump would do with it; nothing is committed. The exit code."""
    return show(examine(link, program, declared), folder, log)


def show(found: Examined, folder: Path, log: Path | None) -> int:
    for line in report(found):
        print(line)
    if found.opinions.differ:
        saved = save_defect(folder, found.program, found.opinions, found.says, found.checked)
        print(defect_text(found.opinions, saved, log))
        return REFUSED
    verdict = found.opinions.pump.verdict
    if verdict != "OK":
        print(f"REFUSED: {verdict} {found.opinions.says}")
        if found.opinions.left_to_pump:
            print(f"  (the oracle would accept it; {found.opinions.left_to_pump})")
        return REFUSED
    return ACCEPTED


def report(found: Examined) -> Iterator[str]:
    """Who, the change, the caps, the confirmations: what a person must see before the word is given."""
    says, answer = found.says, found.opinions.pump
    therapy, stat = says.therapy, says.stat
    key = " (the default key is in force)" if stat.get("key") == "default" else ""
    yield f"pump: {says.identity.get('board', '?')} {says.identity.get('uid', '')}, firmware {says.identity.get('fw', '?')}{key}"
    yield f"  {therapy.get('population', '?')}, born {therapy.get('birth', '?')}, {therapy.get('phase', '?')}, {stat.get('state', '?')}"
    yield f"program: {found.program.name}, hash {answer.hash} as read back"
    yield f"  daily {mcg(answer.daily_ng)}, high {mcg(answer.high_ng)}, low {mcg(answer.low_ng)} mcg"
    yield f"change: {change_text(answer.daily_ng, says.daily_ng)}"
    yield from caps_lines(found)
    valid = calibrated.told_range(says.supplies)
    if valid and (warning := valid.warning(calibrated.rates_nl_h(found.program))):
        yield f"WARNING: {warning}"
    if found.attendance:
        yield "declare: --attended, that trained staff and resuscitation are present (label 5.3)"
    yield f"confirm: {' and '.join(answer.confirm) or 'the hash alone'}"
    if not found.opinions.differ:
        yield f"opinions: pump {answer.verdict}, oracle {_oracle_word(found)}"


def _oracle_word(found: Examined) -> str:
    if not found.says.knows_history:
        return "cannot judge: this firmware has no STAT? part=caps"
    return found.opinions.oracle.verdict


def change_text(new_ng: int, old_ng: int) -> str:
    if not old_ng:
        return f"first program of this therapy: {mcg(new_ng)} mcg/day"
    percent = 100 * (new_ng - old_ng) / old_ng
    return f"{percent:+.1f} % ({mcg(old_ng)} mcg/day last run, {mcg(new_ng)} wanted)"


def caps_lines(found: Examined) -> Iterator[str]:
    """What the pump says that its caps allow, and what the oracle makes of it where that is something else."""
    caps = found.says.caps
    if not found.says.knows_history:
        yield "caps: the pump does not tell them"
        return
    yield f"caps now: at most {mcg(told(caps, 'most'))} mcg/day, at least {mcg(told(caps, 'least'))} mcg/day"
    why, wait_ms = caps.get("why", "none"), told(caps, "wait")
    if why != "none":
        yield f"  no increase now: {why}" + (f"; by time alone the next in {span_text(wait_ms - wait_ms % 1000)}" if wait_ms else "")
    if told(caps, "return"):
        yield f"  one return to at most {mcg(told(caps, 'return'))} mcg/day may be confirmed (R-WDR-1)"
    ours = oracle_caps(record_of(found.says, oracle_program(found.program)), NOW_MS)
    if max(abs(ours.most_ng - told(caps, "most")), abs(ours.least_ng - told(caps, "least"))) > ROUNDING_NG:
        yield f"  NOTE: the oracle makes it at most {mcg(ours.most_ng)}, at least {mcg(ours.least_ng)} mcg/day; report this"


def mcg(ng: float) -> str:
    """A dose in mcg, to the ng."""
    text = f"{ng / 1000:,.3f}"
    return text.rstrip("0").rstrip(".")


# ---- the act


def send(
    link: Link,
    clock: HostClock,
    program: Program,
    declared: Declared,
    folder: Path,
    log: Path | None = None,
    read_line: Callable[[str], str] = input,
) -> int:
    """All four steps; the exit code."""
    found = examine(link, program, declared)
    code = show(found, folder, log)
    if code != ACCEPTED:
        return code
    if not found.says.knows_history:
        raise BenchError("this pump has no STAT? part=caps, so the host cannot judge by itself: load a newer firmware")
    if found.attendance and not declared.attended:
        print("REFUSED: UNATTENDED this is an increase; say --attended if trained staff and resuscitation are present, label 5.3")
        return REFUSED
    if not _agreed(found, declared, read_line):
        print("nothing was committed")
        return REFUSED
    return _commit(link, clock, found, declared)


def _agreed(found: Examined, declared: Declared, read_line: Callable[[str], str]) -> bool:
    """The second step of two: the person names what is to run by its hash."""
    digest = found.opinions.pump.hash
    if declared.yes:
        if declared.yes.lower() != digest:
            print(f"--yes {declared.yes} is not the hash {digest} that the pump read back")
        return declared.yes.lower() == digest
    when = "at once" if found.says.running else "at the next RUN"
    asks = found.opinions.pump.confirm
    print(f"This puts {found.program.name} in force {when}" + (f" and confirms {' and '.join(asks)}" if asks else "") + ".")
    try:
        typed = read_line(f"Type the first {DIGITS} digits of the hash to commit it, anything else leaves all as it is: ")
    except EOFError:
        print("\nnobody answered; without a terminal say --yes HASH", file=sys.stderr)
        return False
    typed = typed.strip().lower()
    return len(typed) >= DIGITS and digest.startswith(typed)


def _commit(link: Link, clock: HostClock, found: Examined, declared: Declared) -> int:
    fields = {"hash": found.opinions.pump.hash, "route": "intrathecal"}
    fields |= {"attended": "yes"} if declared.attended else {}
    fields |= {"reason": declared.reason} if declared.reason else {}
    for _ in range(MOST_TOKENS):
        try:
            clock.follow(link)
            done = link.command("PROG:COMMIT", fields)
            return _confirm_in_force(link, found, done)
        except Refused as refused:
            print(f"the pump: {refused.code} {refused.text}")
            if not refused.code.startswith("CONFIRM_") or "confirm" not in refused.fields:
                print("REFUSED; nothing was committed")
                return REFUSED
            if refused.code not in found.opinions.pump.confirm:
                print(f"REFUSED: {refused.code} was not announced by the check, so nobody agreed to it; nothing was committed")
                return REFUSED
            fields["confirm"] = refused.fields["confirm"]
    raise BenchError("the pump asks for one confirmation after the other; nothing was committed")


def _confirm_in_force(link: Link, found: Examined, done: Mapping[str, str]) -> int:
    """What the pump holds now is what was agreed."""
    held = link.ask("STAT?").get("hash", "none")
    if held != found.opinions.pump.hash:
        print(f"DEFECT: {found.opinions.pump.hash} was committed and the pump says it holds {held}: STOP it, and keep its log")
        return REFUSED
    notes = "" if done.get("notes", "none") == "none" else f"; noted: {done['notes']}"
    when = "it runs now" if done.get("runs") == "now" else "it runs from the next RUN on"
    print(f"committed {found.program.name}, hash {held}: {when}{notes}")
    return ACCEPTED
