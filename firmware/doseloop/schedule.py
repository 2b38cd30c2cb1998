"""Program + calibration -> steps: one stretch of constant rate ("piece") turned into leases for the step engine.

Steps due is the floor of one rational, (ng delivered as an exact fraction) x steps per mL / (concentration x 1000),
and the remainder is carried from piece to piece. All big numbers are worked out once per piece in `plan`; after that
`next_lease` only adds numbers below 2^30 and allocates nothing.

A step's time is exact to a microsecond. Inside a group of equal periods the engine can only be given whole
microseconds, so a group takes the period rounded down, or that plus one when the sum has fallen behind: pulses come at
most one group's worth of microseconds early, and groups are kept so short that this is less than 1/4 of a step. At basal
rates a group is far shorter than that; a 2 mL bolus in a minute needs groups of 75 or the loop could not keep up.
"""

from doseloop.units import const

# Step k is due when the ideal reaches k - 1/64, so lateness of real hardware never makes an error over one step.
LEAD_DIVISOR = const(64)

LEASE_US = const(9_000_000)  # longest lease: with the 1 s of look-ahead it stays within the 10 s of DESIGN
_SHORTEST_US = const(1_000)  # a far pulse keeps at least this much of its wait for its own lease
_EARLY_PART = const(4)  # a group of n pulses takes at least 4 n us a period: n us early is at most 1/4 of a step
_FRACTION = const(1 << 29)  # microseconds are kept to 2^-29 inside a piece: 400,000 steps add up to less than 1 ns


def fresh_remainder(den):
    """The remainder a new account starts with: the lead."""
    return den // LEAD_DIVISOR


class Piece:
    """Leases for one stretch of constant rate. Call plan, then next_lease until it says False."""

    def __init__(self):
        self.pulses = 0  # how many pulses the whole piece has
        self.remainder = 0  # what is left of the step in progress when the piece has ended, over the same denominator
        self.n = 0  # the lease that next_lease made: pulses, gap and period in us
        self.gap_us = 0
        self.period_us = 0
        self._legs = []  # (groups, pulses a group, waits before each, period_us, slip_us, slip fraction)
        self._leg = 0
        self._groups = 0
        self._group_pulses = 0
        self._group_waits = 0
        self._waits = 0
        self._period = 0
        self._slip = 0
        self._slip_fraction = 0
        self._behind = 0  # how far the exact sum is ahead of the whole microseconds given out
        self._behind_fraction = 0
        self._lease_us = LEASE_US

    def plan(self, span_ms, num, den, remainder, most_pulses, lease_us):
        """Lay out the pulses of span_ms in which num/den steps fall due evenly, after remainder/den of a step.

        most_pulses and lease_us bound one lease. remainder may be negative (a step already made) but not below -den.
        """
        total = remainder + num
        self.pulses = total // den if num and total >= den else 0  # a step still owed waits for a rate
        self.remainder = total - self.pulses * den
        self._legs = []
        self._leg = self._groups = self._waits = self._behind = self._behind_fraction = 0
        if self.pulses:
            self._plan_pulses(span_ms * 1000 * den, num, span_ms * 1000 * (den - remainder), most_pulses, lease_us)

    def _plan_pulses(self, period_num, num, first_num, most_pulses, lease_us):
        self._add_legs(1, 1, max(first_num, 0), num, lease_us)
        period_us = period_num // num
        group = min(most_pulses, max(1, period_us // _EARLY_PART), max(1, lease_us // (period_us + 1)))
        rest = self.pulses - 1
        if rest % group:
            self._add_legs(1, rest % group, period_num, num, lease_us)
        if rest >= group:
            self._add_legs(rest // group, group, period_num, num, lease_us)

    def _add_legs(self, groups, pulses, period_num, num, lease_us):
        period, part = divmod(period_num, num)
        waits = 0
        if pulses == 1 and period > lease_us:
            waits = (period - _SHORTEST_US) // lease_us
        group_us, group_part = divmod(pulses * period_num, num)
        fraction = group_part * _FRACTION // num
        self._legs.append((groups, pulses, waits, period - waits * lease_us, group_us - pulses * period, fraction, lease_us))

    def legs(self):
        """The plan, for its seal."""
        return self._legs, self.pulses, self.remainder

    def next_lease(self):
        """Put the next lease into n, gap_us, period_us; False when all pulses of the piece have been given out."""
        if self._groups == 0 and not self._next_leg():
            return False
        if self._waits:
            self._waits -= 1
            self.n = 0
            self.gap_us = self._lease_us
            self.period_us = 0
            return True
        self._groups -= 1
        self._waits = self._group_waits if self._groups else 0
        self.n = self._group_pulses
        self.gap_us = 0
        self.period_us = self._period + self._catch_up()
        return True

    def _catch_up(self):
        """1 when the whole microseconds given out have fallen a group's worth behind the exact sum, else 0."""
        self._behind += self._slip
        self._behind_fraction += self._slip_fraction
        if self._behind_fraction >= _FRACTION:
            self._behind_fraction -= _FRACTION
            self._behind += 1
        if self._behind < self._group_pulses:
            return 0
        self._behind -= self._group_pulses
        return 1

    def _next_leg(self):
        if self._leg >= len(self._legs):
            return False
        (
            self._groups,
            self._group_pulses,
            self._group_waits,
            self._period,
            self._slip,
            self._slip_fraction,
            self._lease_us,
        ) = self._legs[self._leg]
        self._waits = self._group_waits
        self._leg += 1
        return True
