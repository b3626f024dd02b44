"""Stress of one pool, with hysteresis, so that it does not flutter; an operator can hold it on or off."""

from dataclasses import dataclass
from math import inf

ON_AT = 0.9
"""Share of the places that, when taken, means stress."""
OFF_BELOW = 0.7
CALM_FOR = 10.0
"""Seconds below OFF_BELOW, with quick handovers, before the pool is calm again."""


@dataclass(slots=True)
class StressGauge:
    """Read `on`; feed it with `observe`. Times are monotonic seconds."""

    on: bool = False
    held: bool | None = None
    """What the operator holds it at; None follows the pool."""
    _held_until: float = inf
    _measured: bool = False
    _calm_since: float | None = None

    def hold(self, state: bool | None, until: float = inf) -> None:
        """Hold it on or off, or (None) let it follow the pool again."""
        self.held, self._held_until = state, until

    def observe(self, *, share: float, slow: bool, now: float) -> bool:
        """Take in the share of places taken and whether handovers are slow; true if the state has turned."""
        if share >= ON_AT or slow:
            self._measured, self._calm_since = True, None
        elif share >= OFF_BELOW:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= CALM_FOR:
            self._measured = False
        if self.held is not None and now >= self._held_until:
            self.held = None
        before, self.on = self.on, self._measured if self.held is None else self.held
        return self.on != before
