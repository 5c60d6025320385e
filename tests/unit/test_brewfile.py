"""Brewfiles: what stands there is read, and whatever could name more is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.brewfile import MAX_BREWFILE_BYTES, SKIPPED_KINDS, Brewfile, BrewfileError, read_brewfile

EXAMPLE = b"""\
# What a new machine gets
tap "homebrew/bundle"
tap "Octo/homebrew-tap", "https://#{ENV.fetch("TOKEN")}@example.com/tap.git", trusted: true
cask_args appdir: "~/Applications", require_sha: true

brew "wget"
brew 'openssl@3'
brew("gtk+3")
brew "Octo/homebrew-Tap/foo", args: ["HEAD" # the newest
], restart_service: :changed, conflicts_with: ["bar"]
brew "homebrew/core/jq", link: OS.mac? ? true : false # as it comes
brew %q(libvpx), { link: true }; brew "wget"
brew "mysql",
  # started by hand
  restart_service: false
cask "firefox", args: { appdir: "#{Dir.home}/Applications" }
cask "iterm2"
mas "Xcode", id: 497_799_835
vscode "golang.go"
whalebrew "whalebrew/wget"
go "github.com/x/y"
brew "homebrew/homebrew/zlib"
__END__
brew "after-the-end"
"""


def test_what_stands_in_a_brewfile_is_read() -> None:
    assert read_brewfile(EXAMPLE) == Brewfile(
        formulae=(
            "wget",
            "openssl@3",
            "gtk+3",
            "octo/tap/foo",
            "homebrew/core/jq",
            "libvpx",
            "mysql",
            "zlib",
        ),
        taps=("homebrew/bundle", "octo/tap"),
        skipped=(("cask", 2), ("go", 1), ("mas", 1), ("vscode", 1), ("whalebrew", 1)),
        unknown=(),
    )


def test_line_ends_may_be_those_of_windows() -> None:
    assert read_brewfile(EXAMPLE.replace(b"\n", b"\r\n")) == read_brewfile(EXAMPLE)


@pytest.mark.parametrize(
    "source", ["", "\n\n", "# nothing\n", "=begin\nbrew 'x'\n=end\n", "'x'\n", "OS.mac?\n", ";\n"]
)
def test_a_brewfile_may_name_nothing(source: str) -> None:
    assert read_brewfile(source.encode()) == Brewfile((), (), (), ())


@pytest.mark.parametrize("kind", sorted(SKIPPED_KINDS - {"cask_args"}))
def test_what_is_no_formula_is_counted(kind: str) -> None:
    source = f'{kind} "x"\n{kind}("y")\nif OS.linux?\n  {kind} "z"\nend\n{kind} "q" unless ENV["CI"]\n'
    assert read_brewfile(source.encode()) == Brewfile((), (), ((kind, 4),), ())


@pytest.mark.parametrize(
    "statement",
    [
        "brew name",
        "brew",
        "brew()",
        'brew ""',
        'brew "x#{y}"',
        'brew "a" "b"',
        'brew "a" + "b"',
        'brew "a".freeze',
        'brew ("a")',
        "brew :a",
        "brew ?a",
        "brew nil",
        "brew <<~X\n  a\nX",
        'brew "a\\x62"',
        "brew 'a\\'b'",
        'brew "a", "b"',
        'brew "a", *options',
        'brew "a", **options',
        'brew "a", &block',
        'brew("a") { }',
        'brew "a" do\nend',
        'brew! "a"',
        'self.brew "a"',
        'Kernel.brew "a"',
        'brew "a b"',
        'brew "-a"',
        'brew "../a"',
        'brew "./a.rb"',
        'brew "a.rb"',
        'brew "a/b/c.RB"',
        'brew "a--1.sonoma.bottle.tar.gz"',
        'brew "/a"',
        'brew "octo/a"',
        'brew "a/b/c/d"',
        'brew "https://example.com/a.rb"',
        'brew "a\n"',
        'brew "ä"',
        'brеw "a"',  # noqa: RUF001 - a Cyrillic letter
        'brew brew "a"',
        'x = brew "a"',
        '(brew "a")',
        'p(brew("a"))',
        'brew "a" and brew "b"',
        'brew "a" || brew("b")',
        'not OS.mac? or brew "a"',
        'brew "a" rescue nil',
        'brew "a" while x',
        'while true\n  brew "a"\nend',
        "%w[a b].each { |name| brew name }",
        'Dir.glob("*") { |name| brew name }',
        'File.read("Brewfile.more").each_line { brew _1 }',
        'instance_eval File.read("Brewfile.more")',
        'eval "brew :a"',
        "send(:brew, 'a')",
        "ENV.instance_eval('brew')",
        'File.open("x") { brew "a" }',
        'ENV.fetch("X") { brew "a" }',
        'ENV.fetch(brew("a"))',
        'ENV[brew("a")]',
        'ENV["X"] = brew "a"',
        '"#{brew "a"}"',
        '[brew("a")]',
        '{ a: brew("a") }',
        "`brew a`",
        'BEGIN { brew "a" }',
        "def brew(name) = cask(name)",
        "alias brew cask",
        "module OS; end",
        "require 'x'",
        "exit",
        "return",
        "_1",
        "tap name",
        "tap",
        'tap "a"',
        'tap "a/b/c"',
        'tap "../b"',
        'tap "a#{b}/c"',
        "case x\nin 1 then brew 'a'\nend",
    ],
)
def test_a_statement_that_may_name_more_cannot_be_known(statement: str) -> None:
    found = read_brewfile(f'brew "first"\n{statement}\nbrew "last"\n'.encode())
    assert found.formulae == ("first", "last")
    assert (found.taps, found.skipped) == ((), ())
    assert found.unknown == ((2, statement.split("\n", maxsplit=1)[0].strip()),)


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ('brew "a" if OS.mac?', [1]),
        ('brew "a" unless ENV["CI"]', [1]),
        ('if OS.mac?\n  brew "a"\nend', [2]),
        (
            'if OS.mac?\n  brew "a"\nelsif OS.linux?\n  brew "b"\n  tap "c/d"\nelse\n  brew "e"\nend',
            [2, 4, 5, 7],
        ),
        ('unless Hardware::CPU.arm?\n  brew "a"\nelse\n  brew "b"\nend', [2, 4]),
        ('if MacOS.version >= :sonoma && File.exist?("x")\n  brew "a"\nend', [2]),
        ('case ENV["X"]\nwhen "a", "b"\n  brew "a"\nelse\n  brew "b"\nend', [3, 5]),
        ('OS.mac? ? brew("a") : brew("b")', [1]),
        ('if x\n  cask "a"\nend', [1]),
        ("if OS.mac?\n  brew 'a' if true\nend", [2]),
        ('begin\n  brew "a"\nrescue\n  brew "b"\nend', [2, 3]),
        ('if brew("a")\nend', [1]),
        ('brew "a"; brew "b" if x', [1]),
    ],
)
def test_what_is_named_under_a_condition_cannot_be_known(source: str, unknown: list[int]) -> None:
    found = read_brewfile(source.encode())
    assert [line for line, _ in found.unknown] == unknown
    assert found.formulae == (("a",) if ";" in source else ())


@pytest.mark.parametrize(
    ("statement", "formulae"),
    [
        ('brew "a", link: want?', ("a",)),
        ('brew "a", args: [x]', ("a",)),
        ('brew "a", restart_service: system("x")', ("a",)),
        ('brew "a", link: ENV.fetch("X") { brew "b" }', ("a",)),
        ('cask "x", args: eval("brew :b")', ()),
        ("cask_args appdir: brew('b')", ()),
        ('mas "x", id: -> { brew "b" }', ()),
        ('tap "a/b", eval("brew :b")', ()),
    ],
)
def test_options_that_run_something_are_told(statement: str, formulae: tuple[str, ...]) -> None:
    found = read_brewfile(statement.encode())
    assert found.formulae == formulae
    assert found.unknown == ((1, statement),)


@pytest.mark.parametrize("end", ["__END__ ", " __END__", "__END__\t", "x = 1; __END__", 'brew "y"; __END__'])
def test_an_end_that_ruby_does_not_see_hides_nothing(end: str) -> None:
    found = read_brewfile(f'brew "a"\n{end}\nbrew "b"\n'.encode())
    assert found.unknown == ((2, end.strip()),)


def test_a_long_line_is_shortened() -> None:
    (unknown,) = read_brewfile(b"brew name" + b"x" * 1000).unknown
    assert unknown == (1, "brew name" + "x" * 71 + "...")


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (b"brew 'a'\nbrew 'b", "not Ruby at line 2"),
        (b"brew 'a'\nif OS.mac?\nbrew 'b'\n", "not Ruby at line"),
        (b"<?xml version='1.0'?><plist/>", "not Ruby at line 1"),
        (b'[tools]\nwget = "1"\n\xe2\x9c\x93\n}', "not Ruby at line"),
        (b"\x7fELF", "a control character at byte 0"),
        (b"brew 'a'\x04\nbrew 'b'", "a control character at byte 8"),
        (b"brew 'a'\x1a", "a control character at byte 8"),
        (b"brew 'a'\0", "a control character at byte 8"),
        (b"# x\rbrew 'a'", "a control character at byte 3"),
        (b"# x\x0cbrew 'a'", "a control character at byte 3"),
        (b"brew '\xff'", "not UTF-8 at byte 6"),
        (b"#" * (MAX_BREWFILE_BYTES + 1), "longer than the limit of 262,144 bytes"),
    ],
)
def test_what_is_no_ruby_is_no_brewfile(source: bytes, cause: str) -> None:
    with pytest.raises(BrewfileError, match=cause):
        read_brewfile(source)


@pytest.mark.parametrize(
    "part", ["[", "(", "{", "if x\n", '"#{', "brew ", "<<A ", "-", "a ? ", "not ", "->(a=", "a&&", "%"]
)
def test_depth_and_length_end_in_an_answer(part: str) -> None:
    source = part.encode() * (MAX_BREWFILE_BYTES // len(part))
    try:
        found = read_brewfile(source)
    except BrewfileError as error:
        assert "not Ruby" in str(error)
    else:
        assert found.formulae == ()
        assert found.unknown


def test_values_nested_deeply_are_values() -> None:
    depth = MAX_BREWFILE_BYTES // 2 - 10
    assert read_brewfile(b"[" * depth + b"]" * depth) == Brewfile((), (), (), ())


WORDS = """
brew tap cask "a" 'b/c/d' "#{x}" OS.mac? if end else do { } ( ) , link: ; # __END__ and && = x ENV [ ] .
"""
FRAGMENTS = ["\n", *WORDS.split()]


@given(st.lists(st.sampled_from(FRAGMENTS)).map(" ".join) | st.text())
def test_any_text_is_read_or_refused(source: str) -> None:
    raw = source.encode("utf-8", "surrogatepass")
    try:
        found = read_brewfile(raw)
    except BrewfileError:
        return
    lines = source.split("\n")
    assert all(text.removesuffix("...") in lines[line - 1] for line, text in found.unknown)
    # Whatever stands there before the end is named or told.
    assert found.unknown or found.formulae or "brew" not in _code(raw)


def _code(raw: bytes) -> str:
    """Return the source without its end, comments and strings, as far as it can be told by eye."""
    lines = raw.decode("utf-8").split("\n")
    if "__END__" in lines:
        lines = lines[: lines.index("__END__")]
    return "\n".join(line.partition("#")[0] for line in lines)
