"""`brew-provenance cache`: attestations that this machine remembers."""

from __future__ import annotations

import click

from brew_provenance.cli import options
from brew_provenance.errors import InputError
from brew_provenance.stores.cache import CacheInfo, cache_info, clear_cache


@click.group("cache", cls=options.Group)
def command() -> None:
    """Attestations that stores gave before. They are verified again whenever they are used."""


@command.command("info")
def info() -> None:
    """Say where they are, and how many."""
    folder = options.cache_folder() / "attestations"
    try:
        found = cache_info(folder)
    except OSError as error:
        raise InputError(str(folder), error.strerror or str(error), "look at who owns the folder") from error
    options.write_result(f"{found.folder}: {_counted(found)}\n", None)


@command.command("clear")
def clear() -> None:
    """Delete them."""
    folder = options.cache_folder() / "attestations"
    try:
        found = clear_cache(folder)
    except OSError as error:
        raise InputError(str(folder), error.strerror or str(error), "delete the folder yourself") from error
    options.write_result(f"{found.folder}: deleted {_counted(found)}\n", None)


def _counted(found: CacheInfo) -> str:
    return f"attestations of {found.files:,} bottles, {found.size / 1e6:.1f} MB"
