"""How much memory is free."""

from __future__ import annotations

from pathlib import Path


def free_memory() -> int | None:
    """Bytes of memory that are free, where Linux tells it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration, ValueError):
        return None
