"""The budget of look-ups: it fills with time, so that a flood of strangers makes us ask no more than was agreed."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Budget:
    """So many look-ups a second; what one second did not need may be spent in the next, and no later."""

    rate: float
    _left: float = field(init=False)
    _at: float = 0.0

    def __post_init__(self) -> None:
        self._left = self.rate

    def spend(self, cost: float, now: float) -> bool:
        """Spend all of `cost`, or nothing and answer false; `now` is monotonic, in seconds.

        What costs more than a whole second's worth is asked for when nothing was spent for a second, and is paid off
        afterwards: it must not be impossible for ever.
        """
        self._left = min(self.rate, self._left + (now - self._at) * self.rate)
        self._at = now
        if not self.rate or self._left < min(cost, self.rate):
            return False
        self._left -= cost
        return True
