"""How much history knows, in words for people that claim no more than a record can know.

A record keeps how many units it has seen in all and what is left of the good and of the bad. A good session is about
one unit (more messages count up to two, and beyond ten units a day none counts), so a record that has seen nothing but
good ones can tell about how many; a bad session counts anything up to eight, so of bad ones only their worth is known.
"""

from frontproxy.core.durations import ago
from frontproxy.core.level import Forgetting, Level, Present, present

_FORGOTTEN = 0.1  # units of which no more is left count next to nothing


def own_text(own: Level, now: float, forgetting: Forgetting) -> str:
    """What a client's own record holds: `about 37 good sessions, the last 2 days ago`."""
    left = present(own, now, forgetting)
    still = ", nearly forgotten" if sum(left) < _FORGOTTEN else _still(own, left)
    return f"{_seen(own)}{still}, the last {ago(now - own.t)}"


def others_text(left: Present, whose: str) -> str:
    """What is left of what others taught: `other clients in its network still count as 12.0 good sessions`."""
    return f"other clients {whose} still count as {_left(left)} sessions"


def _seen(own: Level) -> str:
    about = f"about {own.n:.0f}" if own.n >= 0.95 else "less than one"
    if not own.bad:  # ageing never makes it exactly nothing, so there has been none
        if own.n < 0.95:
            return "good sessions worth less than one"
        return f"{about} good session{'s' if own.n >= 1.5 else ''}"
    return f"{'good and ' if own.good else ''}bad sessions worth {about}"


def _still(own: Level, left: Present) -> str:
    return f", of which {_left(left)} still count" if own.good and own.bad else ""


def _left(left: Present) -> str:
    kinds = [f"{units:.1f} {kind}" for units, kind in zip(left, ("good", "bad"), strict=True) if units >= 0.05]
    return " and ".join(kinds) or "less than 0.1"
