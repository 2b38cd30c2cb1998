"""How to mix a concentration (R-CON-2): stock, preservative-free saline, vials to open, what is thrown away. All exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, gcd

from hil.errors import InputError
from hil.quantity import whole

STOCKS = (500, 1000, 2000)  # mcg/mL, label 3
VIAL_NL = 20_000_000  # single-use: what is left in an opened one is discarded
TENTH_NL = 100_000  # what a syringe measures
LEAST_CHRONIC, MOST_CHRONIC = 51, 2000  # R-CON-1
SCREENING = 50  # exactly this, and for screening alone
MOST_FILL_NL = 100_000_000  # what the wire takes
SALINE = "preservative-free saline"


@dataclass(frozen=True)
class Mix:
    """So much stock, filled up with saline to a total."""

    stock: int  # mcg/mL
    stock_nl: Fraction
    total_nl: int

    @property
    def saline_nl(self) -> Fraction:
        return self.total_nl - self.stock_nl

    @property
    def conc(self) -> Fraction:
        """mcg/mL of the mix."""
        return self.stock_nl * self.stock / self.total_nl

    @property
    def vials(self) -> int:
        return ceil(self.stock_nl / VIAL_NL)

    @property
    def discarded_nl(self) -> Fraction:
        """What stays in the opened vials."""
        return self.vials * VIAL_NL - self.stock_nl

    @property
    def is_measurable(self) -> bool:
        return self.stock_nl % TENTH_NL == 0 and self.saline_nl % TENTH_NL == 0


# ---- what is asked


def parse_conc(text: str, where: str) -> int:
    """`350` or `350 mcg/mL`: the one place where a bare number means one thing alone."""
    if text.isascii() and text.isdecimal() and len(text) <= 6:
        return int(text)
    return whole(text, "concentration (mcg/mL)", where)


def check_wish(want: int, fill_nl: int, stocks: Sequence[int], keys: tuple[str, str, str] = ("--want", "--fill", "--stock")) -> None:
    """InputError for what nobody can mix, or nobody may fill; `keys` are what the three are called where they were written."""
    want_key, fill_key, stock_key = keys
    if want != SCREENING and not LEAST_CHRONIC <= want <= MOST_CHRONIC:
        allowed = f"a filled reservoir takes {LEAST_CHRONIC} to {MOST_CHRONIC}, screening exactly {SCREENING} (label 2.2, 2.3, 3)"
        raise InputError(want_key, f"{want} mcg/mL is refused: {allowed}")
    check_fill(fill_nl, fill_key)
    for stock in stocks:
        if stock not in STOCKS:
            raise InputError(stock_key, f"{stock} mcg/mL is not sold: {', '.join(map(str, STOCKS))}")
    if stocks and max(stocks) < want:
        raise InputError(stock_key, f"{max(stocks)} mcg/mL is weaker than the {want} mcg/mL wanted, and a dilution only makes it weaker")


def check_fill(fill_nl: int, where: str) -> None:
    if not TENTH_NL <= fill_nl <= MOST_FILL_NL:
        raise InputError(where, f"{ml_text(fill_nl)} is no fill volume: from 0.1 mL to 100 mL")


# ---- mixing


def exact(want: int, fill_nl: int, stock: int) -> Mix:
    return Mix(stock, Fraction(want * fill_nl, stock), fill_nl)


def choices(want: int, fill_nl: int, stocks: Sequence[int] = ()) -> list[Mix]:
    """Every stock that is strong enough; first those that can be measured, with the fewest vials, with the least waste."""
    mixes = [exact(want, fill_nl, stock) for stock in sorted(set(stocks or STOCKS)) if stock >= want]
    return sorted(mixes, key=lambda mix: (not mix.is_measurable, mix.vials, mix.discarded_nl))


def nearest(mix: Mix) -> Mix:
    """The mix in tenths of a mL next to it; of two equally near the weaker one."""
    total = mix.total_nl // TENTH_NL
    parts = ceil(mix.conc * total / mix.stock - Fraction(1, 2))
    return Mix(mix.stock, Fraction(max(1, parts) * TENTH_NL), total * TENTH_NL)


def larger(mix: Mix) -> Mix | None:
    """The next larger total at which the very concentration can be measured; None if none is within twice the fill."""
    want = int(mix.conc)
    step = mix.stock // gcd(want, mix.stock) * TENTH_NL
    total = ceil(Fraction(mix.total_nl, step)) * step
    return exact(want, total, mix.stock) if total <= min(2 * mix.total_nl, MOST_FILL_NL) else None


def whole_neighbours(mix: Mix) -> list[Mix]:
    """The next weaker and the next stronger mix of this fill that can be measured and has a whole concentration."""
    total = mix.total_nl // TENTH_NL
    step = total // gcd(mix.stock, total)  # tenths of stock between whole concentrations
    parts = mix.conc * total / mix.stock
    below, above = floor(parts / step) * step, (floor(parts / step) + 1) * step
    mixes = [Mix(mix.stock, Fraction(part * TENTH_NL), total * TENTH_NL) for part in (below, above) if 0 < part <= total]
    return [one for one in mixes if LEAST_CHRONIC <= one.conc <= MOST_CHRONIC]


# ---- as text


def ml_text(volume_nl: Fraction | int) -> str:
    """`12.6 mL`; what has no end as a decimal as well as the fraction that it is."""
    ml = Fraction(volume_nl, 1_000_000)
    if 10**6 % ml.denominator == 0:
        digits = f"{int(ml * 10**6):07d}"
        return f"{digits[:-6]}.{digits[-6:]}".rstrip("0").rstrip(".") + " mL"
    return f"{float(ml):.4f} mL ({ml})"


def conc_text(conc: Fraction) -> str:
    return f"{conc} mcg/mL" if conc.denominator == 1 else f"{float(conc):.3f} mcg/mL ({conc})"


def lines(want: int, fill_nl: int, stocks: Sequence[int] = ()) -> Iterator[str]:
    """The answer for a person."""
    check_wish(want, fill_nl, stocks)
    found = choices(want, fill_nl, stocks)
    drug_mcg = float(Fraction(fill_nl * want, 10**6))
    yield f"{want} mcg/mL in {ml_text(fill_nl)} ({drug_mcg:,.10g} mcg of drug)"
    if want == SCREENING:
        yield f"  note: {SCREENING} mcg/mL is for the screening trial alone (label 2.2); a chronic program with it is refused"
    for mix in found:
        yield _line(mix) + _praise(mix, found)
        if not mix.is_measurable:
            yield from _instead(mix, want)
    yield "  vials are single-use: discard what is left in an opened one, and what is left of a mix"


def _line(mix: Mix) -> str:
    vials = f"open {mix.vials} vial{'s' if mix.vials > 1 else ''} of 20 mL, discard {ml_text(mix.discarded_nl)}"
    if not mix.saline_nl:
        return f"  stock {mix.stock} mcg/mL: {ml_text(mix.stock_nl)} of it undiluted; {vials}"
    return f"  stock {mix.stock} mcg/mL: {ml_text(mix.stock_nl)} of it + {ml_text(mix.saline_nl)} {SALINE}; {vials}"


def _praise(mix: Mix, found: Sequence[Mix]) -> str:
    if len(found) < 2:
        return ""
    best = ["fewest vials"] if mix.vials == min(one.vials for one in found) < max(one.vials for one in found) else []
    best += ["least waste"] if mix.discarded_nl == min(one.discarded_nl for one in found) else []
    return f"  [{', '.join(best)}]" if best else ""


def _instead(mix: Mix, want: int) -> Iterator[str]:
    """What can be measured in its place."""
    near = nearest(mix)
    whole_one = near.conc == want or (near.conc.denominator == 1 and want != SCREENING and near.conc >= LEAST_CHRONIC)
    use = f"program conc = {near.conc}" if whole_one else "cannot be programmed: only a whole number from 51 to 2000 can"
    if want == SCREENING:
        use = f"good for {ml_text(near.total_nl)}" if whole_one else f"no screening dose: it takes exactly {SCREENING}"
    yield "    cannot be measured in 0.1 mL"
    yield f"    nearest: {ml_text(near.stock_nl)} + {ml_text(near.saline_nl)} saline gives {conc_text(near.conc)}: {use}"
    more = None if near.conc == want else larger(mix)
    if more is not None:
        made = f"{ml_text(more.stock_nl)} + {ml_text(more.saline_nl)} saline, {more.vials} vial{'s' if more.vials > 1 else ''}"
        left = ml_text(more.total_nl - mix.total_nl)
        yield f"    exact: make {ml_text(more.total_nl)} of {want} mcg/mL ({made}), fill {ml_text(mix.total_nl)}, discard {left} of the mix"
    for one in () if whole_one or want == SCREENING else whole_neighbours(mix):
        yield f"    or program {one.conc} mcg/mL: {ml_text(one.stock_nl)} + {ml_text(one.saline_nl)} saline"
