"""Progress where there is no terminal: a line now and then, for the log of a batch job."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["Log"]

_FIRST, _LONGEST = 30.0, 600.0  # seconds between two lines


class Log:
    """Lines on standard error: the first after half a minute, then ever more seldom."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to wait.

        Args:
            what: What is being done.
            clock: Tells the time, s.
        """
        self._what = what
        self._clock = clock
        self._start = clock()
        self._wait = _FIRST
        self._next = self._start + self._wait

    def tell(self, share: float, text: str) -> None:
        """Write a line if it is time for one.

        Args:
            share: Share that is done.
            text: The same in words.
        """
        now = self._clock()
        if now < self._next:
            return
        spent = now - self._start
        left = f", {_clock_time(spent / share - spent)} left" if share > 0 else ""
        words = " ".join(text.split())
        sys.stderr.write(f"{self._what}: {words} ({share:.0%}) after {_clock_time(spent)}{left}\n")
        sys.stderr.flush()
        self._wait = min(2 * self._wait, _LONGEST)
        self._next = now + self._wait


def _clock_time(seconds: float) -> str:
    """Hours, minutes and seconds.

    Examples:
        >>> _clock_time(59.6), _clock_time(3723)
        ('1:00', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
