"""SIGTERM and Ctrl-C: the step in progress is finished and saved, then the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingInterrupted(SystemExit):
    """A run that was told to end and did, with everything saved. The exit status is the shell's: 128 + signal."""

    def __init__(self, signal_number: int):
        super().__init__(128 + signal_number)


class Interruption:
    """The signal that told this process to end: 0 until there is one."""

    signal_number = 0

    def _told(self, number: int, frame) -> None:
        if self.signal_number and number == signal.SIGINT:
            raise KeyboardInterrupt  # Ctrl-C a second time: at once
        self.signal_number = number


@contextmanager
def noticed() -> Iterator[Interruption]:
    """Within, signals to end are noted in place of obeyed."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():  # only there does Python let one listen
        yield interruption
        return
    before = {number: signal.signal(number, interruption._told) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_the_main_process(_worker: int) -> None:
    """For data workers. Ctrl-C and a cluster's scheduler tell every process of a group; who prepares batches goes on
    until the main process, which still has a step to finish, lets go of it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
