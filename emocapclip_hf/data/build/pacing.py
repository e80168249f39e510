"""How fast an endpoint is asked: requests and tokens a minute, waits between tries, and a budget."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


class RateLimit:
    """Lets through `per_minute` units a minute, evenly; None lets everything through."""

    def __init__(self, per_minute: float | None):
        if per_minute is not None and per_minute <= 0:
            raise ValueError(f"a rate limit must be above 0 a minute, got {per_minute}")
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    async def wait(self, units: float = 1) -> None:
        if not self._seconds_each:
            return
        now = time.monotonic()
        starts = max(now, self._free_at)
        self._free_at = starts + units * self._seconds_each
        if starts > now:
            await asyncio.sleep(starts - now)


@dataclass
class Backoff:
    """How long to wait before another try: doubling, with full jitter, or what the endpoint asks for."""

    first: float = 1.0
    longest: float = 60.0

    def seconds(self, tries: int, retry_after: float | None) -> float:
        if retry_after is not None:
            return retry_after + random.uniform(0, min(self.first, retry_after))  # not all at the same moment
        return random.uniform(0, min(self.longest, self.first * 2 ** (tries - 1)))


def parse_retry_after(value: str | None) -> float | None:
    """Seconds, from a header that holds seconds or a date.

    >>> parse_retry_after("1.5"), parse_retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), parse_retry_after("soon")
    (1.5, 0.0, None)
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=timezone.utc)
        seconds = (date - datetime.now(timezone.utc)).total_seconds()
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None


class BudgetSpentError(RuntimeError):
    """What may be spent is spent; everything that was answered is kept."""


@dataclass
class Budget:
    """Requests and tokens that may be spent in all, over every run on the same folder; None: no bound.

    What a request will cost is known only afterwards, so each reserves what the dearest one cost so far (before the
    first: `expected_tokens`).
    """

    most_requests: int | None
    most_tokens: int | None
    requests: int = 0
    tokens: int = 0
    expected_tokens: int = 2000

    def reserve(self) -> int:
        """Called before each try; returns the tokens reserved."""
        if self.most_requests is not None and self.requests + 1 > self.most_requests:
            raise BudgetSpentError(f"the budget of {self.most_requests:,} requests is spent")
        if self.most_tokens is not None and self.tokens + self.expected_tokens > self.most_tokens:
            raise BudgetSpentError(
                f"of the budget of {self.most_tokens:,} tokens, {self.tokens:,} are spent or under way, and a caption "
                f"takes up to {self.expected_tokens:,}"
            )
        self.requests += 1
        self.tokens += self.expected_tokens
        return self.expected_tokens

    def settle(self, reserved: int, tokens: int) -> None:
        """Called after each try with what it really cost."""
        self.tokens += tokens - reserved
        if tokens:
            self.expected_tokens = max(self._dearest, tokens)
            self._dearest = self.expected_tokens

    def __post_init__(self) -> None:
        self._dearest = 0
