"""Human-readable sizes and durations."""


def size(count: float) -> str:
    """A number of bytes in the largest unit that gives at least 1."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that gives at least 2."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if round(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
