"""Which bottle brew would pour on a machine."""

from __future__ import annotations

import platform

import pytest

from brew_provenance.bottle import BottleTag
from brew_provenance.errors import UsageError
from brew_provenance.host import choose_tag, host_tag
from brew_provenance.macos import macos_name


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("27.0", "golden_gate"),
        ("26.0.1", "tahoe"),
        ("15.6.1", "sequoia"),
        ("14", "sonoma"),
        ("13.7", "ventura"),
        ("12.0", "monterey"),
        ("11.7.10", "big_sur"),
        ("10.15.7", "catalina"),
        ("10.14", "mojave"),
        ("10.13.6", "high_sierra"),
        ("10.12", "sierra"),
        ("10.11", "el_capitan"),
        ("10.10", "yosemite"),
        ("10.9", None),
        ("10", None),
        ("16.0", None),
        ("28.0", None),
        ("", None),
        ("fifteen", None),
        ("15.", None),
        ("15.6-beta", None),
        ("\u0661\u0665.0", None),
    ],
)
def test_a_macos_version_has_the_name_that_brew_gives_it(version: str, name: str | None) -> None:
    assert macos_name(version) == name


def pretend(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, macos: str = "") -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (macos, ("", "", ""), machine))


@pytest.mark.parametrize(
    ("system", "machine", "macos", "tag"),
    [
        ("Linux", "x86_64", "", "x86_64_linux"),
        ("Linux", "AMD64", "", "x86_64_linux"),
        ("Linux", "aarch64", "", "arm64_linux"),
        ("Darwin", "arm64", "26.1", "arm64_tahoe"),
        ("Darwin", "x86_64", "14.8", "sonoma"),
    ],
)
def test_a_machine_has_a_tag(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, macos: str, tag: str
) -> None:
    pretend(monkeypatch, system, machine, macos)
    assert str(host_tag()) == tag


@pytest.mark.parametrize(
    ("system", "machine", "macos"),
    [
        ("Linux", "riscv64", ""),
        ("Windows", "AMD64", ""),
        ("Darwin", "arm64", "99.0"),
        ("Darwin", "arm64", ""),
    ],
)
def test_a_machine_that_brew_has_no_bottles_for_is_said_to_have_none(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, macos: str
) -> None:
    pretend(monkeypatch, system, machine, macos)
    with pytest.raises(UsageError, match="has no bottles of its own") as caught:
        host_tag()
    assert "--tag" in caught.value.next_step


@pytest.mark.parametrize(
    ("declared", "host", "chosen"),
    [
        (["arm64_tahoe", "arm64_sonoma"], "arm64_sonoma", "arm64_sonoma"),
        (["all", "arm64_sonoma"], "arm64_sonoma", "arm64_sonoma"),
        (["intel_sonoma"], "sonoma", "intel_sonoma"),
        (["aarch64_linux"], "arm64_linux", "aarch64_linux"),
        (["arm64_tahoe", "all"], "arm64_sonoma", "all"),
        (["all"], "x86_64_linux", "all"),
        (["all"], "all", "all"),
        (["arm64_tahoe", "arm64_sequoia"], "arm64_golden_gate", "arm64_tahoe"),
        (["arm64_ventura", "arm64_sonoma"], "arm64_tahoe", "arm64_ventura"),
        (["sonoma", "arm64_monterey"], "arm64_tahoe", "arm64_monterey"),
        (["arm64_tahoe"], "arm64_sonoma", None),
        (["sonoma"], "arm64_sonoma", None),
        (["arm64_sonoma"], "tahoe", None),
        (["x86_64_linux"], "arm64_linux", None),
        (["arm64_sonoma", "sonoma"], "x86_64_linux", None),
        (["linux"], "sonoma", None),
        (["arm64_tiger"], "arm64_sonoma", None),
        ([], "sonoma", None),
    ],
)
def test_brew_pours_the_exact_tag_then_all_then_an_older_macos(
    declared: list[str], host: str, chosen: str | None
) -> None:
    choice = choose_tag(declared, BottleTag.parse(host))
    assert (choice.tag if choice else None) == chosen


def test_a_choice_says_why() -> None:
    host = BottleTag.parse("arm64_tahoe")
    reasons = [choose_tag(declared, host) for declared in (["arm64_tahoe"], ["all"], ["arm64_sonoma"])]
    assert [choice.why for choice in reasons if choice] == [
        "the tag asked for",
        "for every platform, there is none for arm64_tahoe alone",
        "the first older macOS declared, there is none for arm64_tahoe",
    ]


def test_macos_11_and_later_may_call_itself_10_16() -> None:
    assert macos_name("10.16") == "big_sur"
