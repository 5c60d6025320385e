"""Headless Chromium, which may open files and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, sync_playwright
from tests.conftest import skip_or_fail

# What Debian, Ubuntu and GitHub's runners call it, and where macOS has it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = ("Google Chrome", "Chromium")

# Nothing that Chromium does of its own accord; what the page asks for is watched below.
ARGUMENTS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)

Open = Callable[..., Page]


def find_browser() -> str | None:
    on_path = next((found for name in NAMES if (found := shutil.which(name))), None)
    in_folder = (Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in PLACES)
    return on_path or next((str(path) for path in in_folder if path.exists()), None)


# One at a time, and not for the session: while it is open, nothing else in the process can run a loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        skip_or_fail(f"none of {', '.join(NAMES)} on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            # Root has no sandbox; what is opened is our own.
            executable_path=path,
            args=ARGUMENTS,
            chromium_sandbox=os.geteuid() != 0,
        )
        yield browser
        browser.close()


@pytest.fixture
def faults() -> list[str]:
    """What pages have asked for and complained of, which fails the test."""
    return []


@pytest.fixture
def open_page(browser: Browser, faults: list[str]) -> Iterator[Open]:
    """Open a file; the test fails where the page asks for anything else, or complains of anything."""
    contexts = []

    def refuse(route: Route) -> None:
        faults.append(f"asked for {route.request.url}")
        route.abort()

    def dismiss(dialog: Dialog) -> None:
        faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open_file(file: Path, fragment: str = "", **context: Any) -> Page:
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
        contexts.append(made)
        # Playwright's routes do not see what a policy has stopped; that is told on the console.
        made.route(lambda url: not url.startswith(("file:", "data:")), refuse)
        page = made.new_page()
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", dismiss)
        page.on("popup", lambda popup: faults.append(f"popup: {popup.url}"))
        page.goto(file.as_uri() + fragment)
        return page

    yield open_file
    for made in contexts:
        made.close()
    assert faults == []
