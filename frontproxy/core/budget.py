"""The budget of look-ups: a flood of strangers makes us ask no more than was agreed, and one network a part of it.

Whatever is spent is a debt, which time pays off: as fast as the rate says for all together, and a tenth as fast for
each network. A debt may grow as large as a second pays off. Without the second bound one host, which has more addresses
than it can ever use, would spend everything, and nobody else would be asked about. It does not bind while half of the
budget is not needed by anybody: a busy network is asked about as long as nobody suffers from it.
"""

from dataclasses import dataclass, field
from typing import Final

NETWORK_SHARE: Final = 0.1
"""What one network may spend of the rate: enough for a network of many senders, of which each is asked about once in a
while, and so little that it takes ten networks to spend it all."""
IDLE: Final = 0.5
"""What of the budget must stay for others when a network goes beyond its share."""
_SWEEP_EVERY: Final = 1.0
"""Seconds after which networks that owe nothing are forgotten."""


@dataclass(slots=True)
class _Debt:
    """What was spent, as far as it has not been paid off."""

    owed: float = 0.0
    at: float = 0.0

    def pay_off(self, rate: float, now: float) -> float:
        """What is still owed now."""
        self.owed = max(0.0, self.owed - (now - self.at) * rate)
        self.at = now
        return self.owed

    def has_room(self, cost: float, rate: float, now: float) -> bool:
        """Whether `cost` may be added; what costs more than a second pays off has to find no debt at all."""
        owed = self.pay_off(rate, now)
        return not owed or owed + cost <= rate


@dataclass(slots=True)
class Budget:
    """So many look-ups a second; what one second did not need may be spent in the next, and no later.

    It remembers a few networks more than two seconds have look-ups, however many come.
    """

    rate: float
    _all: _Debt = field(init=False, default_factory=_Debt)
    _networks: dict[bytes, _Debt] = field(init=False, default_factory=dict)
    _swept: float = field(init=False, default=0.0)

    def spend(self, cost: float, now: float, network: bytes) -> bool:
        """Spend all of `cost` on behalf of a network, or nothing and answer false; `now` is monotonic, in seconds.

        What costs more than a whole second's worth is asked for when nothing is owed, and is paid off afterwards: it
        must not be impossible for ever.
        """
        if not self.rate or not self._all.has_room(cost, self.rate, now):
            return False
        self._sweep(now)
        debt = self._networks.get(network) or _Debt()
        share = self.rate * NETWORK_SHARE
        if not debt.has_room(cost, share, now) and self._all.owed + cost > self.rate * IDLE:
            return False
        self._networks[network] = debt
        self._all.owed += cost
        debt.owed = min(debt.owed + cost, max(share, cost))  # what nobody else needed is not held against it
        return True

    def _sweep(self, now: float) -> None:
        """Forget the networks that owe nothing any more."""
        if now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            share = self.rate * NETWORK_SHARE
            self._networks = {network: debt for network, debt in self._networks.items() if debt.pay_off(share, now)}
