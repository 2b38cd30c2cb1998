"""The line: tubing and catheter between head and tip, what it holds, the bridge, and what may be primed (R-CON-3, R-CON-4).

After a refill of another concentration the drug that was in the line leaves the tip first. The bridge is told by a count
of dose steps alone: up to `until` it is the old drug, from there on the new one. So nothing has to happen at its end, and a
count that is taken back (a chain cut short) or that a power cut left open needs no second rule.
"""

from doseloop.ledger import PRIME
from doseloop.units import Refusal, nl_of_steps

_NL_PER_ML = 1_000_000
PARTS = ("tube", "catheter", "both")


class Line:
    """Concentrations in mcg/mL, counts in dose steps since the journal began."""

    def __init__(self, board):
        self._parts_nl = {"tube": board["dead_volume_tubing_nl"], "catheter": board["dead_volume_catheter_nl"]}
        self._parts_nl["both"] = self._parts_nl["tube"] + self._parts_nl["catheter"]
        self.feed = 0  # what the reservoir feeds into it; 0 = no drug
        self.conc = None  # what it held when that began; None = nothing, or test fluid
        self.until = 0  # count at which the bridge is, or was, through; 0 = no bridge since that began
        self.prime_left_nl = 0  # what recorded new parts still allow to prime

    # What it holds.

    def left(self, count):
        """Steps until the bridge is through; 0: no bridge is on."""
        return max(0, self.until - count)

    def tip(self, count):
        """Concentration of what the step after `count` moves out of the tip; 0: no drug."""
        return self.conc if count < self.until else self.feed

    def holds(self, count):
        """Concentration of what is in the line, in a bridge the old one; None: nothing."""
        return self.feed if self.until and count >= self.until else self.conc

    def mass(self, count, after):
        """Sum of the concentrations of the steps between two counts; negative where steps are taken back."""
        old = min(after, self.until) - min(count, self.until)
        return self.feed * (after - count - old) + (self.conc * old if old else 0)

    # What happens to it.

    def refill(self, conc, count, steps_per_ml):
        """The reservoir feeds `conc` from now on (0: test fluid); another drug than the line's begins a bridge."""
        if self.left(count):
            return
        self.conc, self.until = self.holds(count), 0
        if conc and self.conc is not None and conc != self.conc:
            self.until = count + _steps_over(self._parts_nl["both"], steps_per_ml)
        self.feed = conc

    def drug_moved(self):
        """Without a bridge the line holds what the reservoir feeds as soon as a step of it was made."""
        if not self.until:
            self.conc = self.feed or None

    def delivered(self, category, steps, steps_per_ml):
        """A delivery beside basal has ended with so many steps; what primed counts against the allowance."""
        if category == PRIME:
            self.prime_left_nl = max(0, self.prime_left_nl - nl_of_steps(steps, steps_per_ml))

    def replace(self, part):
        """A new tube or catheter is on record: its dead volume may be primed once; with both new the line is empty."""
        self.prime_left_nl = self._parts_nl[part]
        if part == "both":
            self.conc, self.until = None, 0

    def leave_open(self, count, steps):
        """The last `steps` up to `count` may not have been made: the bound counts that does not raise the dose at the tip.

        A weaker drug follows: none of them, so the volume rate rises late. A stronger one: all, so it falls early.
        """
        if self.feed < (self.conc or 0) and count - steps < self.until:
            self.until += steps

    def recalibrate(self, count, old, new):
        """Steps per mL have changed: the volume of the bridge that is left stays."""
        if self.left(count):
            self.until = count - -self.left(count) * new // old

    # Rules.

    def check_refill(self, conc, count):
        """Refusal BRIDGING for a third drug, or for test fluid, in a bridge."""
        if self.left(count) and conc != self.feed:
            text = "the line still holds %d under %d mcg/ml; refill with %d, or wait for the bridge"
            raise Refusal("BRIDGING", text % (self.conc, self.feed, self.feed))

    def check_replace(self, part, count):
        """Refusal BRIDGING for one new part in a bridge: how much of which drug is left is then unknown."""
        if part != "both":
            self.require_no_bridge(count)

    def require_no_bridge(self, count):
        if self.left(count):
            text = "%d steps of the old %d mcg/ml are in the line; wait, or LINE:NEW part=both"
            raise Refusal("BRIDGING", text % (self.left(count), self.conc))

    # The journal's copy.

    def dump(self):
        return [self.feed, self.conc, self.until, self.prime_left_nl]

    def load(self, state):
        self.feed, self.conc, self.until, self.prime_left_nl = state


class Fill:
    """What is drawn from the reservoir for a dose at the tip: `left_nl` at the old concentration, then at the new one."""

    def __init__(self, conc, left_nl=0, old=0):
        self.conc = conc
        self._left_nl = left_nl
        self._old = old

    def nl_for(self, dose_ng):
        """Volume in nL that gives `dose_ng` at the tip, rounded up."""
        beyond = dose_ng * 1000 - self._left_nl * self._old
        if self._left_nl and beyond <= 0:
            return -(-dose_ng * 1000 // self._old)
        return self._left_nl - -beyond // self.conc

    def ng_in(self, volume_nl):
        """Dose in ng that `volume_nl` gives at the tip, rounded down."""
        first_nl = min(max(volume_nl, 0), self._left_nl)
        return (first_nl * self._old + (volume_nl - first_nl) * self.conc) // 1000

    def ng_for(self, volume_nl):
        """The least dose in ng for which nl_for() is at least `volume_nl`."""
        return self.ng_in(volume_nl - 1) + 1 if volume_nl > 0 else 0


def fill_of(line, count, steps_per_ml, conc):
    """Fill as of `count`; conc: of what the reservoir gives after the bridge."""
    left = line.left(count)
    return Fill(conc, nl_of_steps(left, steps_per_ml), line.conc) if left else Fill(conc)


def _steps_over(volume_nl, steps_per_ml):
    """Steps with the last of which `volume_nl` is through."""
    return -(-volume_nl * steps_per_ml // _NL_PER_ML)
