"""Numbers of a plan as people read them."""

import math


def seconds_shown(value: float) -> str:
    """Seconds as people read them."""
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if value >= 1.5 * size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.1f} s"


def scaled(value: float, unit: str) -> str:
    """A number with its SI prefix, three digits."""
    if value <= 0:
        return f"0 {unit}".strip()
    power = min(6, max(0, int(math.log10(value) // 3)))
    return f"{value / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}{unit}".strip()
