"""Formulae of installed taps, as brew itself describes them (`cmd/info.rb` and `cmd/tap-info.rb` in brew).

brew evaluates a formula's Ruby to describe it, as it would to install it, and refuses to where the
tap is not trusted. Whoever controls the tap controls what is said here; nobody signs it.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, StrictBool, StrictStr, ValidationError

from brew_provenance import strictjson
from brew_provenance.errors import InputError, NothingMatchedError
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import read_formula
from brew_provenance.statement import summarise
from brew_provenance.strictjson import MalformedJSONError

MAX_OUTPUT_BYTES: Final = 64 * 1024 * 1024
"""What brew may answer to one call."""

TIMEOUT: Final = 300.0
"""Seconds that one call of brew may take."""

BATCH: Final = 50
"""Formulae that brew is asked about in one call; a call takes a second, and each formula little more."""

_KEPT_ERRORS = 64 * 1024
_CHUNK = 64 * 1024
_MAX_SAID = 300
# What could be of another tap, of a file or a URL, or an option, is not handed to brew.
_TAP = re.compile(r"[a-z0-9_][a-z0-9_-]*/[a-z0-9_][a-z0-9._-]*")
_FULL_NAME = re.compile(rf"{_TAP.pattern}/\w[\w@+.-]*", re.ASCII)
_WORD = re.compile(r"[\w@+./-]+", re.ASCII)
_FILES = (".rb", ".tar.gz")
_OFFICIAL = "homebrew/"
_SETTINGS = {
    "HOMEBREW_NO_ANALYTICS": "1",
    "HOMEBREW_NO_AUTO_UPDATE": "1",
    "HOMEBREW_NO_COLOR": "1",
    "HOMEBREW_NO_ENV_HINTS": "1",
    "HOMEBREW_NO_GITHUB_API": "1",
}


class Output(NamedTuple):
    """What a program answered."""

    status: int
    """Its exit status; negative when a signal ended it."""

    out: bytes
    """All of its standard output."""

    errors: bytes
    """The end of its standard error."""


class OutputTooLongError(ValueError):
    """A program answers more than it may."""


Run: TypeAlias = Callable[[Sequence[str], Mapping[str, str]], Output]
"""Runs a program: its arguments, and its environment."""


def run_bounded(
    arguments: Sequence[str], environment: Mapping[str, str], *, timeout: float = TIMEOUT
) -> Output:
    """Run a program without a shell, input or a terminal, in the root folder.

    It is killed, with what it has started, when it takes longer than `timeout` seconds or answers more
    than MAX_OUTPUT_BYTES. Raises subprocess.TimeoutExpired, OutputTooLongError, and OSError when it
    cannot be started.
    """
    deadline = time.monotonic() + timeout
    with subprocess.Popen(  # noqa: S603 - a list, without a shell
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd="/",  # in the current folder, a file could bear a formula's name
        start_new_session=True,
    ) as process:
        try:
            out, errors = _collect(process, deadline)
            status = process.wait(max(deadline - time.monotonic(), 0))
        except BaseException as error:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                error.timeout = timeout
            raise
    return Output(status, out, errors)


def _collect(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """Read both of a program's outputs to their ends: all of one, the last part of the other."""
    out, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        pipes = filter(None, (process.stdout, process.stderr))
        for pipe, kept in zip(pipes, (out, errors), strict=True):
            selector.register(pipe, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in selector.select(left):
                if chunk := os.read(key.fd, _CHUNK):
                    key.data.extend(chunk)
                else:
                    selector.unregister(key.fileobj)
            if len(out) > MAX_OUTPUT_BYTES:
                raise OutputTooLongError(f"answers more than {MAX_OUTPUT_BYTES:,} bytes")
            del errors[:-_KEPT_ERRORS]
    return bytes(out), bytes(errors)


class _RefusedError(InputError):
    """brew ran, and does not describe all that it was asked for."""


class _TapInfo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    name: StrictStr
    installed: StrictBool = True
    formula_names: list[StrictStr]


class BrewTap:
    """Installed third-party taps, or one of them, as brew describes them."""

    def __init__(
        self,
        executable: Path,
        run: Run = run_bounded,
        *,
        tap: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Ask `executable`, which is brew, in the environment `environ`; that of this process if None.

        `tap`, `user/repo` in lower case, is the one that `formulae` lists; None for all installed ones
        that are not Homebrew's own. brew gets no token: its formulae are programs of others.
        """
        self._executable = executable
        self._run = run
        self._tap = tap
        inherited = os.environ if environ is None else environ
        self._environment = {name: value for name, value in inherited.items() if "TOKEN" not in name}
        self._environment |= _SETTINGS
        self._known: dict[str, Formula] = {}

    @cached_property
    def name(self) -> str:
        """What a verdict calls it: brew, its version, and that nobody signed what it says."""
        try:
            output = self._run([str(self._executable), "--version"], self._environment)
        except (OSError, OutputTooLongError, subprocess.TimeoutExpired):
            output = Output(1, b"", b"")
        first = output.out.partition(b"\n")[0][:60].decode("utf-8", "replace").strip()
        version = f"brew {first.removeprefix('Homebrew ')}" if output.status == 0 and first else "brew"
        return f"brew info, {version} at {self._executable}, unsigned"

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing but what the name says."""
        return ()

    def formula(self, full_name: str) -> Formula:
        """Return the formula `user/repo/name`.

        Raises NothingMatchedError, with what brew says is close, when there is none of that name, and
        InputError when brew is missing, fails, hangs, or answers something else.
        """
        if not _is_full_name(full_name):
            raise NothingMatchedError(full_name, "not a formula's full name", "write it user/repo/name")
        if full_name not in self._known:
            self._known |= self._describe([full_name])
        return self._known[full_name]

    def prefetch(self, full_names: Iterable[str]) -> None:
        """Ask brew for many formulae at once, to have them when `formula` is called.

        A formula that brew does not describe is left for `formula` to say so. Raises InputError when
        brew is missing, hangs, or answers something that is not its JSON.
        """
        names = [
            name for name in dict.fromkeys(full_names) if _is_full_name(name) and name not in self._known
        ]
        for batch in _batches(names):
            self._prefetch(batch)

    @property
    def formula_count(self) -> int:
        """How many formulae the tap lists. Raises what `formulae` does before the first."""
        return len(self._listed)

    def formulae(self) -> Iterator[Formula]:
        """Yield every formula, in the order of their names.

        Raises NothingMatchedError when the tap is not installed, and InputError as `formula` does, for
        the first formula that brew does not describe.
        """
        for batch in _batches(sorted(self._listed)):
            found = self._describe(batch)
            yield from (found[name] for name in batch)

    def _prefetch(self, names: Sequence[str]) -> None:
        while names:
            try:
                self._known |= self._describe(names)
            except (NothingMatchedError, _RefusedError) as error:
                # One formula that brew stumbles over keeps it from describing the others.
                said = {word.rstrip(".") for word in _WORD.findall(f"{error.thing} {error.cause}")}
                rest = [name for name in names if name not in said]
                names = rest if len(rest) < len(names) else []
            else:
                return

    @cached_property
    def _listed(self) -> set[str]:
        if self._tap is not None and _TAP.fullmatch(self._tap) is None:
            raise NothingMatchedError(self._tap, "not a tap's name", "write it user/repo")
        document = self._ask("tap-info", "--json", self._tap or "--installed")
        try:
            taps = [_TapInfo.model_validate(entry) for entry in self._list(document, "tap-info")]
        except ValidationError as error:
            raise self._unusable("tap-info", summarise(error)) from error
        if self._tap is None:
            taps = [tap for tap in taps if not tap.name.startswith(_OFFICIAL)]
        elif [tap.name for tap in taps if tap.installed] != [self._tap]:
            raise NothingMatchedError(
                self._tap, "the tap is not installed", f"run `brew tap {self._tap}`, if you trust it"
            )
        for tap in taps:
            for name in tap.formula_names:
                if not _is_full_name(name) or not name.startswith(f"{tap.name}/"):
                    raise self._unusable("tap-info", f"{tap.name} lists {name!r}, which is no formula of it")
        return {name for tap in taps for name in tap.formula_names}

    def _describe(self, names: Sequence[str]) -> dict[str, Formula]:
        """Return exactly the formulae asked for."""
        # Without variations, dependencies would be those on this machine for every tag.
        document = self._ask("info", "--json=v2", "--formula", "--variations", *names)
        entries = self._list(document.get("formulae") if isinstance(document, dict) else None, "info")
        found = dict(map(self._read, entries))
        if len(found) != len(entries):
            raise self._unusable("info", "it describes a formula twice")
        others = [name for name in found if name not in names]
        for name in names:
            if name not in found:
                cause = f"brew describes {', '.join(others) or 'nothing'} instead"
                raise _RefusedError(name, cause, "ask for the formula by its own name")
        if others:
            raise self._unusable("info", f"it describes {', '.join(others)}, which nobody asked for")
        return found

    def _read(self, document: object) -> tuple[str, Formula]:
        try:
            formula = read_formula(document)
        except FormulaError as error:
            named = document.get("full_name") if isinstance(document, dict) else None
            raise _RefusedError(
                named if isinstance(named, str) else f"{self._executable} info",
                f"brew's description of it cannot be used: {error}",
                "run `brew update`; if that does not help, update brew-provenance",
            ) from error
        return formula.full_name, formula

    def _ask(self, command: str, *arguments: str) -> object:
        names = [argument for argument in arguments if _is_full_name(argument)]
        about = names[0] if len(names) == 1 else f"{self._executable} {command}"
        by_hand = f"run `brew {command}` by hand to see what it does"
        try:
            output = self._run([str(self._executable), command, *arguments], self._environment)
        except subprocess.TimeoutExpired as error:
            raise InputError(about, f"brew gave no answer in {error.timeout:g} seconds", by_hand) from error
        except OutputTooLongError as error:
            raise InputError(about, f"brew {error}", by_hand) from error
        except OSError as error:
            raise InputError(
                str(self._executable), error.strerror or str(error), "install brew, or set HOMEBREW_PREFIX"
            ) from error
        if output.status != 0:
            raise _refusal(about, output)
        try:
            return strictjson.loads(output.out, MAX_OUTPUT_BYTES)
        except MalformedJSONError as error:
            raise self._unusable(command, str(error)) from error

    def _list(self, document: object, command: str) -> list[object]:
        if not isinstance(document, list):
            raise self._unusable(command, "no list where one should be")
        return document

    def _unusable(self, command: str, why: str) -> InputError:
        return InputError(
            f"{self._executable} {command}",
            f"its answer is not brew's JSON: {why}",
            "run `brew update`; if that does not help, update brew-provenance",
        )


def _is_full_name(text: str) -> bool:
    return _FULL_NAME.fullmatch(text) is not None and not text.endswith(_FILES)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + BATCH] for start in range(0, len(names), BATCH))


def _refusal(about: str, output: Output) -> NothingMatchedError | _RefusedError:
    said = _said(output.errors)
    if "No available formula" in said:
        next_step = "compare the name with `brew search`, or tap its tap with `brew tap`, if you trust it"
        return NothingMatchedError(about, f"brew says: {said}", next_step)
    next_step = "run `brew info` by hand to see what it does"
    if "untrusted tap" in said:
        next_step = "let brew read the formula or its tap with `brew trust`, if you trust it"
    return _RefusedError(about, f"brew ended with exit status {output.status}: {said}", next_step)


def _said(errors: bytes) -> str:
    """Return the error that brew ended with: one line, even when advice follows it."""
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    found = [line for line in lines if line.startswith("Error:")] or lines or ["nothing"]
    return found[-1][:_MAX_SAID]
