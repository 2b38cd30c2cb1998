"""The screening trial: which dose comes next, when, and what its response means (R-SCR-1 to R-SCR-5, label 2.2, 2.3).

A dose is on record from its intent on; one that ended PARTIAL or UNCERTAIN starts the 24 h, takes no response, and is
then repeated. A new trial forgets doses and responses, not the time of the last dose.
"""

from doseloop import label
from doseloop.units import NG_PER_MCG, Refusal, mcg_text, span_text

POSITIVE, INADEQUATE = "positive", "inadequate"
_DONE = "DONE"


class Trial:
    """The doses of one trial. Times are elapsed ms."""

    def __init__(self):
        self.dose_ng = 0  # the last dose of this trial, 0 before the first
        self.started = None  # of the last dose of any trial
        self.ended = None
        self.outcome = "none"  # RUNNING, DONE, PARTIAL, UNCERTAIN
        self.response = "none"  # none, positive, inadequate

    def begin_anew(self):
        """A new trial (R-SCR-5); the 24 h since the last dose go on."""
        self.dose_ng, self.ended, self.outcome, self.response = 0, None, "none", "none"

    def next_doses(self, population):
        """The doses, ng, that may come next: none while a response is due or after the last of them."""
        doses = label.SCREEN_DOSES_NG
        if not self.dose_ng:
            return doses[:2] if population == label.PEDIATRIC else doses[1:2]
        if self.outcome != _DONE:
            return (self.dose_ng,)
        place = doses.index(self.dose_ng) + 1
        return doses[place : place + 1] if self.response == INADEQUATE else ()

    def check_dose(self, dose_ng, population):
        """Refusal SCREEN_DOSE unless it is the next of the trial (R-SCR-1)."""
        wanted = self.next_doses(population)
        if dose_ng in wanted:
            return
        names = [mcg_text(dose) for dose in wanted]
        then = "next is %s mcg" % " or ".join(names) if names else "first record the response: SCREEN:RESPONSE"
        fields = [("next", "%smcg" % names[-1] if names else "none")]
        raise Refusal("SCREEN_DOSE", "%s mcg is out of turn; %s, label 2.2" % (mcg_text(dose_ng), then), fields)

    def check_gap(self, now):
        """Refusal TOO_SOON within 24 h of the start of the last dose (R-SCR-3)."""
        wait = 0 if self.started is None else self.started + label.SCREEN_GAP_MS - now
        if wait > 0:
            raise too_soon("next screening dose in %s, 24 h apart, label 2.2", wait)

    def begin(self, dose_ng, now):
        self.dose_ng, self.started, self.ended, self.outcome, self.response = dose_ng, now, None, "RUNNING", "none"

    def end(self, outcome, now):
        self.outcome, self.ended = outcome, now

    def require_unanswered(self):
        """Refusal STATE: a response belongs to a dose that was given whole (R-SCR-2)."""
        if self.outcome != _DONE or self.response != "none":
            raise Refusal("STATE", "no screening dose waits for a response; the last one is %s" % self.outcome)

    def check_waits(self, result, effect, now):
        """Refusal TOO_SOON: inadequate from 4 h after the dose (R-SCR-3), its effect from 8 h after it (R-SCR-4)."""
        if effect:
            self._check_since_end(now, label.LONG_EFFECT_MS, "the effect can be recorded in %s, 8 h after the dose, label 2.5")
        elif result == INADEQUATE:
            self._check_since_end(now, label.RESPONSE_WAIT_MS, "inadequate can be recorded in %s, 4 h after the dose, label 2.2")

    def _check_since_end(self, now, wait_ms, text):
        wait = self.ended + wait_ms - now
        if wait > 0:
            raise too_soon(text, wait)

    def is_failed(self):
        """No response to the largest dose: not a candidate (R-SCR-5)."""
        return self.response == INADEQUATE and self.dose_ng == label.SCREEN_DOSES_NG[-1]

    def dump(self):
        return [self.dose_ng, self.started, self.ended, self.outcome, self.response]

    def load(self, state):
        self.dose_ng, self.started, self.ended, self.outcome, self.response = state


def volume_nl(dose_ng):
    """Volume of a screening dose at 50 mcg/mL."""
    return dose_ng * NG_PER_MCG // label.SCREEN_CONC


def too_soon(text, wait_ms):
    """A Refusal TOO_SOON with the wait in words and as a figure."""
    return Refusal("TOO_SOON", text % span_text(wait_ms), [("wait", "%dms" % wait_ms)])
