"""One history played to its end or to its first disagreement, and the shortest of it that still disagrees."""

import traceback

from campaign.events import history
from campaign.orders import Play
from campaign.pair import Disagreement


def play(start, events, seen=None):
    """(events played, None or (what, text)) of a history; `seen` counts kinds and codes."""
    played = 0
    try:
        pair = Play(start, seen)
        for event in events:
            played += 1
            pair.play(event)
    except Exception as trouble:
        return played, _told(trouble)
    return played, None


def _told(trouble):
    """(what disagreed, the two answers); a crash of either side is a disagreement as well."""
    if isinstance(trouble, Disagreement):
        return trouble.signature, str(trouble)
    place = traceback.extract_tb(trouble.__traceback__)[-1]
    return type(trouble).__name__, f"{type(trouble).__name__}: {trouble} ({place.filename.rsplit('/', 1)[-1]}:{place.lineno})"


def shrink(start, events, what, most=2000):
    """The events without those that are not needed to disagree about the same; halves first, then one by one."""
    tries = 0
    size = max(1, len(events) // 2)
    while size and tries < most:
        at = 0
        while at < len(events) and tries < most:
            fewer = events[:at] + events[at + size :]
            tries += 1
            played, told = play(start, fewer)
            if told and told[0] == what:
                events = fewer[:played]
            else:
                at += size
        size //= 2
    return events


def examine(seed, number, length, seen):
    """Play history `number` of `seed`; (events played, None or its report)."""
    start, events = history(seed, number, length)
    played, told = play(start, events, seen)
    if told is None:
        return played, None
    shortest = shrink(start, events[:played], told[0])
    return played, {
        "seed": seed, "index": number, "length": length, "what": told[0], "told": told[1], "start": start,
        "shortest": shortest, "told_shortest": play(start, shortest)[1][1],
    }  # fmt: skip
