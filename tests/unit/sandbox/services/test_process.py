"""Running a command: its exit code, and the signals that it gets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from brew_provenance.errors import UsageError
from brew_provenance.sandbox.services.process import run_command


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_exit_code_is_the_commands() -> None:
    assert run_command(python("import sys; sys.exit(7)"), os.environ) == 7
    assert run_command(python("pass"), os.environ) == 0
    assert run_command(python("import os; os.kill(os.getpid(), 9)"), os.environ) == 128 + 9


def test_the_environment_is_the_one_given(tmp_path: Path) -> None:
    code = f"import os; open({str(tmp_path / 'x')!r}, 'w', encoding='utf-8').write(os.environ['ONLY'])"
    assert run_command(python(code), {"ONLY": "this"}) == 0
    assert (tmp_path / "x").read_text(encoding="utf-8") == "this"


@pytest.mark.parametrize("command", [["/nonexistent"], [""], ["a\0b"], ["/"]])
def test_what_cannot_be_run_is_said(command: list[str]) -> None:
    with pytest.raises(UsageError):
        run_command(command, os.environ)


def test_handlers_are_what_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_command(python("pass"), os.environ)
    assert signal.getsignal(signal.SIGTERM) is before


CHILD = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, lambda number, _: sys.exit(number + 40))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_passed_on(number: signal.Signals) -> None:
    code = textwrap.dedent(f"""
        import os, sys
        from brew_provenance.sandbox.services.process import run_command
        sys.exit(run_command([sys.executable, "-c", {CHILD!r}], os.environ))
    """)
    with subprocess.Popen(
        python(code), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, number)
        assert process.wait(timeout=60) == number + 40


def test_a_terminal_has_told_the_command_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brew_provenance.sandbox.services.process._has_terminal", lambda: True)
    parent = os.getpid()
    code = f"""
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(9))
os.kill({parent}, signal.SIGINT)
time.sleep(0.3)
"""
    assert run_command(python(code), os.environ) == 0


def test_without_a_terminal_there_is_no_foreground(monkeypatch: pytest.MonkeyPatch) -> None:
    from brew_provenance.sandbox.services import process  # noqa: PLC0415 - for what is private to it

    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 - as the interpreter opens it
        monkeypatch.setattr(sys, "__stdin__", nothing)
        assert process._has_terminal() is False
    assert process._has_terminal() is False
