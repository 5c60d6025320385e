"""Where a statement counts: the blocks and conditions of a formula, on every kind of machine."""

from __future__ import annotations

import pytest

from brew_provenance.bottle import BottleTag
from brew_provenance.formula import Dependency
from brew_provenance.formula.ruby import read_formula

TAGS = ("arm64_golden_gate", "arm64_tahoe", "arm64_sonoma", "sonoma", "arm64_ventura", "catalina", "yosemite",
        "arm64_linux", "x86_64_linux")  # fmt: skip


def dependency(statement: str) -> Dependency:
    source = f'class Foo < Formula\n  url "https://example.org/foo-1.tar.gz"\n  {statement}\nend\n'
    (found,) = read_formula(source.encode(), tap="octo/tap", name="foo").dependencies
    return found


def needed_on(statement: str) -> set[str]:
    """Return the tags on which it is needed; for every other it is known not to be."""
    needed = {tag: dependency(statement).needed_on(BottleTag.parse(tag)) for tag in TAGS}
    assert None not in needed.values()
    return {tag for tag, is_needed in needed.items() if is_needed}


LINUX = {"arm64_linux", "x86_64_linux"}
MACOS = set(TAGS) - LINUX
SONOMA = {"arm64_sonoma", "sonoma"}
NEWER = {"arm64_golden_gate", "arm64_tahoe"}
OLDER = MACOS - SONOMA - NEWER


@pytest.mark.parametrize(
    ("opening", "where"),
    [
        ("on_macos do", MACOS),
        ("on_linux do", LINUX),
        ("on_arm do", {tag for tag in TAGS if tag.startswith("arm64")}),
        ("on_intel do", {tag for tag in TAGS if not tag.startswith("arm64")}),
        ("on_sonoma do", SONOMA),
        ("on_sonoma :or_newer do", SONOMA | NEWER),
        ("on_sonoma :or_older do", SONOMA | OLDER),
        ("on_system :linux, macos: :sonoma do", LINUX | SONOMA),
        ("on_system :linux, macos: :sonoma_or_newer do", LINUX | SONOMA | NEWER),
        ("on_system :linux, macos: :sonoma_or_older do", LINUX | SONOMA | OLDER),
        ("on_system :linux, :macos => :sonoma_or_older do", LINUX | SONOMA | OLDER),
        ("on_system :linux, macos: :golden_gate do", LINUX | {"arm64_golden_gate"}),
        ("on_system :linux, macos: :golden_gate_or_newer do", LINUX | {"arm64_golden_gate"}),
        ("on_system :linux, macos: :golden_gate_or_older do", set(TAGS)),
        ("on_system :linux, macos: :yosemite do", LINUX | {"yosemite"}),
        ("on_system :linux, macos: :yosemite_or_newer do", set(TAGS)),
        ("on_system :linux, macos: :yosemite_or_older do", LINUX | {"yosemite"}),
        ("on_linux do on_arm do", {"arm64_linux"}),
        ("if OS.mac?", MACOS),
        ("if !OS.mac?", LINUX),
        ("unless !OS.mac?", MACOS),
        ("if OS.linux?", LINUX),
        ("if Hardware::CPU.arm?", {tag for tag in TAGS if tag.startswith("arm64")}),
        ("unless Hardware::CPU.intel?", {tag for tag in TAGS if tag.startswith("arm64")}),
        ("if MacOS.version == :sonoma", SONOMA),
        ("if MacOS.version >= :sonoma", SONOMA | NEWER),
        ("if MacOS.version <= :sonoma", SONOMA | OLDER),
        ("if OS.mac?\n x\nelse", LINUX),
        ("if OS.mac?\nelsif Hardware::CPU.arm?", {"arm64_linux"}),
    ],
)
def test_where_it_counts(opening: str, where: set[str]) -> None:
    closing = " end" * (opening.count(" do") or 1)
    assert needed_on(f'{opening}\n depends_on "x"\n{closing}') == where


@pytest.mark.parametrize(
    ("opening", "condition"),
    [
        ("on_system :linux, macos: :leopard_or_newer do", "in on_system :linux, macos: :leopard_or_newer"),
        ("on_system :linux, macos: release do", "in on_system :linux, macos: release"),
        ("on_system :macos, macos: :sonoma do", "in on_system :macos, macos: :sonoma"),
        ("on_system :linux do", "in on_system :linux"),
        ("on_system :linux, bsd: :sonoma do", "in on_system :linux, bsd: :sonoma"),
        ("on_macos :or_newer do", "in on_macos :or_newer"),
        ("on_sonoma :or_other do", "in on_sonoma :or_other"),
        ("on_sonoma :or_newer, :or_older do", "in on_sonoma :or_newer, :or_older"),
        ("on_leopard do", "in on_leopard"),
        ("on_bsd do", "in on_bsd"),
        ("if OS.mac? && x", "if OS.mac? && x"),
        ("if OS.mac?  ||\n x", "if OS.mac? || x"),
        ("unless OS.mac? && x", "not:if OS.mac? && x"),
        ("if !x", "if !x"),
        ("if !!OS.mac?", "if !!OS.mac?"),
        ("if !MacOS.version >= :sonoma", "if !MacOS.version >= :sonoma"),
        ("if MacOS.version >= :leopard", "if MacOS.version >= :leopard"),
        ("if MacOS.version > :sonoma", "if MacOS.version > :sonoma"),
        ("if MacOS.version >= 14", "if MacOS.version >= 14"),
        ("if on_macos", "if on_macos"),
        (f"if {'x' * 100}", f"if {'x' * 80}"),
    ],
)
def test_what_ruby_would_have_to_judge_is_a_condition_that_nobody_knows(opening: str, condition: str) -> None:
    found = dependency(f'{opening}\n depends_on "x"\n end')
    assert found.conditions == (condition,)
    assert {found.needed_on(BottleTag.parse(tag)) for tag in TAGS} == {None}


def test_one_condition_that_fails_is_enough_not_to_need_it() -> None:
    found = dependency('on_linux do\n depends_on "x" if y\n end')
    assert found.needed_on(BottleTag.parse("sonoma")) is False
    assert found.needed_on(BottleTag.parse("x86_64_linux")) is None
