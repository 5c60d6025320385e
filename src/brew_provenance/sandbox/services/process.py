"""Running a command in the foreground: its exit code is ours, and what signals us signals it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from brew_provenance.errors import UsageError

_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_SIGNALLED: Final = 128


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command, without a shell, and return its exit code; 128 and more for the signal that ended it.

    Must be called from the main thread. Raises UsageError when it cannot be started.
    """
    try:
        process = subprocess.Popen(list(command), env=dict(environment))  # noqa: S603 - the user's own command
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UsageError(command[0], reason or str(error), "name a program that can be run") from error
    with process, _passing_signals_on(process):
        code = process.wait()
    return _SIGNALLED - code if code < 0 else code


@contextmanager
def _passing_signals_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def pass_on(number: int, _: FrameType | None) -> None:
        # Ctrl-C on a terminal has reached the command already, which is in the same group.
        if number in {signal.SIGINT, signal.SIGQUIT} and _has_terminal():
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Say whether this process is in the foreground of a terminal."""
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno() if sys.__stdin__ else 0) == os.getpgrp()
    except (OSError, ValueError):
        return False
