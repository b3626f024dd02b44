"""Doubt: how far hearsay against a client counts. Whom we know to be good, nobody can talk badly of."""


def doubt_about(vouched: float, settled: float) -> float:
    """From 1 (we know nothing good of it) to 0: its own record and the operator's lists make it a friend."""
    return min(max(1.0 - vouched / settled, 0.0), 1.0)


def against(points: float, doubt: float) -> tuple[float, str]:
    """What is left of points by hearsay, and a note that says so; points in favour are left alone."""
    if points >= 0.0 or doubt >= 1.0:
        return points, ""
    if doubt <= 0.0:
        return 0.0, "; does not count, as we know good of it ourselves"
    return points * doubt, f"; counts {max(doubt, 0.01):.0%}, as we know good of it ourselves"
