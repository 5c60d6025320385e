"""Formulae read out of their Ruby source, by people who mean well and by others."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.bottle import Bottle, Digest
from brew_provenance.formula import Dependency, Formula, FormulaError, Source
from brew_provenance.formula.apijson import read_formula as read_json
from brew_provenance.formula.declarations import MAX_CONDITIONS, MAX_DEPTH, MAX_GAPS
from brew_provenance.formula.ruby import read_formula
from brew_provenance.formula.syntax import MAX_SOURCE_BYTES, MAX_STRING

TAP = Path(__file__).resolve().parents[3] / "formula-fixtures"
FORMULAE = sorted(TAP.glob("Formula/*/*.rb"))

A, B = "a" * 64, "b" * 64
URL = "https://example.org/foo-1.2.tar.gz"
OTHER_URL = "https://example.com/foo-1.2.tar.gz"
STRAY = "a bottle block that is no statement of the class"
BOTTLE = f'bottle do\n    sha256 cellar: :any, sonoma: "{A}"\n  end'


def read(body: str, name: str = "foo", **where: str) -> Formula:
    """Read a class with this body and a stable source."""
    return read_class(f'url "{URL}"\n  {body}', name, **where)


def read_class(body: str, name: str = "foo", **where: str) -> Formula:
    wanted = {"foo": "Foo", "foo@2": "FooAT2"}.get(name, name)
    return read_text(f"class {wanted} < Formula\n  {body}\nend\n", name, **where)


def read_text(text: str, name: str = "foo", **where: str) -> Formula:
    return read_formula(text.encode(), tap="octo/tap", name=name, **where)


@pytest.mark.parametrize("path", FORMULAE, ids=lambda path: path.stem)
def test_a_formula_says_in_ruby_what_it_says_in_json(path: Path) -> None:
    source = path.read_bytes()
    relative = path.relative_to(TAP).as_posix()
    ruby = read_formula(source, tap="brew-provenance/fixtures", name=path.stem, path=relative, commit="c")
    described = read_json(json.loads((TAP / "api" / f"{path.stem}.json").read_text(encoding="utf-8")))
    for field in ("full_name", "version", "source", "revision", "version_scheme", "root_url", "path"):
        assert getattr(ruby, field) == getattr(described, field), field
    assert [b.name for b in ruby.dependencies] == [b.name for b in described.dependencies]
    named = [(b.file_name, b.digest, b.url) for b in described.bottles]
    assert [(b.file_name, b.digest, b.url) for b in ruby.bottles] == named
    assert (ruby.gaps, ruby.unnamed, ruby.commit) == ((), (), "c")
    assert (ruby.text, ruby.file_sha256) == (source, hashlib.sha256(source).hexdigest())


def test_everything_that_a_formula_states_is_read() -> None:
    formula = read_text(
        f"""\
# A comment that says bottle do
class FooAT2 < Formula
  desc "Foos"
  homepage "https://example.org/foo"
  url "https://example.org/foo.git",
      tag:      "v1.2.3",
      revision: "0123456789012345678901234567890123456789"
  license "MIT"
  revision 2
  version_scheme 1
  head "https://example.org/foo.git", branch: "main"

  bottle do
    root_url "https://bottles.example.org/foo"
    rebuild 3
    sha256 cellar: "/opt/homebrew/Cellar", arm64_tahoe: "{A}"
    sha256                                 el_capitan:  "{B.upper()}"
  end

  deprecate! date: "2026-01-02", because: :unmaintained
  disable! date: "2027-01-02", because: "is not maintained"

  depends_on "bar"

  def install
    bin.install "foo"
  end
end
""",
        "foo@2",
        path="Formula/f/foo@2.rb",
    )
    url = "https://bottles.example.org/foo/foo%402-1.2.3_2."
    path = "Formula/f/foo@2.rb"
    assert formula.bottles == (
        Bottle(
            "octo/tap", "foo@2", "1.2.3_2", 3, "arm64_tahoe", Digest("sha256", A),
            f"{url}arm64_tahoe.bottle.3.tar.gz", line=16, path=path,
        ),
        Bottle(
            "octo/tap", "foo@2", "1.2.3_2", 3, "el_capitan", Digest("sha256", B),
            f"{url}el_capitan.bottle.3.tar.gz", line=17, path=path,
        ),
    )  # fmt: skip
    assert (formula.version, formula.revision, formula.version_scheme) == ("1.2.3_2", 2, 1)
    assert formula.source == Source(
        "https://example.org/foo.git", None, "v1.2.3", "0123456789012345678901234567890123456789"
    )
    assert formula.dependencies == (Dependency("bar"),)
    assert formula.deprecated == "unmaintained, since 2026-01-02"
    assert formula.disabled == "is not maintained, since 2027-01-02"
    assert formula.gaps == ()


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("foo", "Foo"),
        ("foo-bar", "FooBar"),
        ("fooBar", "Foobar"),
        ("foo_bar.baz", "FooBarBaz"),
        ("foo+bar", "Fooxbar"),
        ("foo++", "Fooxx"),
        ("foo@2", "FooAT2"),
        ("foo@1.10", "FooAT110"),
        ("foo-bar@3", "FooBarAT3"),
        ("a52dec", "A52dec"),
        ("z.lua", "ZLua"),
    ],
)
def test_the_name_of_the_file_names_the_class(name: str, class_name: str) -> None:
    text = f"class Helper < Requirement\nend\nclass {class_name} < Formula\n  url '{URL}'\nend\n"
    assert read_text(text, name).version == "1.2"
    with pytest.raises(FormulaError, match=rf"no class {class_name}"):
        read_text(f"class X{class_name} < Formula\nend\n", name)


# Versions and sources


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (f'url "{URL}"', "1.2"),
        (f"url '{URL}'", "1.2"),
        (f'url "{URL}"\n  version "2.0"', "2.0"),
        (f'version "2.0"\n  url "{URL}"', "2.0"),
        (f'url "{URL}"\n  version ""', "1.2"),
        (f'url "{URL}"\n  version "2.0"\n  version "3.0"', "3.0"),
        (f'url "{URL}"\n  revision 3', "1.2_3"),
        (f'stable do\n  url "{URL}"\n  version "2.0"\n end', "2.0"),
        ('url "https://example.org/foo.git", :tag => "v3.1", :revision => "abc"', "3.1"),
        ('url "https://example.org/foo.git", "tag": "v3.1"', "3.1"),
        ('url "https://example.org/" "foo-1.3.tar.gz"', "1.3"),
        ('V = "1.4".freeze\n  url "https://example.org/foo-#{V}.tar.gz"', "1.4"),
        ('V = "1.4"\n  url "https://example.org/x.tar.gz"\n  version V', "1.4"),
        ('v = "1.4"\n  url "https://example.org/foo-#{v}.tar.gz"', "1.4"),
        ('V = "1"\n  W = "#{V}.5"\n  url "https://example.org/foo-#{W}.tar.gz"', "1.5"),
        (f'on_macos do\n  url "{URL}"\n end\n on_linux do\n  url "{OTHER_URL}"\n end', "1.2"),
        (f'url "{URL}"\n  version "2.0"\n  on_arm do\n  version "2.0"\n end', "2.0"),
        ('head "https://example.org/foo.git", branch: "main"', "HEAD"),
        ('head do\n    url "https://example.org/foo.git"\n  end', "HEAD"),
        ('head "https://example.org/foo.git"\n  revision 2', "HEAD"),
    ],
)
def test_the_version_is_known(body: str, version: str) -> None:
    formula = read_class(body)
    assert formula.version == version
    assert not any("version" in gap for gap in formula.gaps)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "it states no stable source"),
        ('version "1.0"', "it states no stable source"),
        ('url "https://example.org/latest.tar.gz"', "line 2: the URL gives no version"),
        ("url foo_url", "line 2: the URL that gives the version is computed"),
        ('url "https://example.org/foo-1.2\\u0030.tar.gz"', "computed"),
        ("url 'https://example.org/foo-1.2\\'.tar.gz'", "computed"),
        ('url "https://example.org/#{version}.tar.gz"', "computed"),
        ('url "https://example.org/#{V}.tar.gz"', "computed"),
        ('url "https://example.org/#@v-1.2.tar.gz"', "computed"),
        ("url <<~EOS\n    https://example.org/foo-1.2.tar.gz\n  EOS", "computed"),
        ('url "https://example.org/foo.git", tag: TAG', "computed"),
        ('url "https://example.org/foo.git", **options', "computed"),
        ('V = ENV["V"]\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('V = "1.2"\n  V = `date`\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('V = "1.2"\n  V += "3"\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('V = "1.2"\n  V, W = foo\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('V = "1.2"\n  V << "3"\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('V ||= "1.2"\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('on_arm do\n  V = "1.2"\n  end\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('V = "1.2"\n  V = "1.3" if OS.mac?\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        ('url "https://example.org/foo-#{V}.tar.gz"\n  V = "1.2"', "computed"),
        ('Foo::V = "1.2"\n  url "https://example.org/foo-#{V}.tar.gz"', "computed"),
        (f'url "{URL}"\n  version File.read("VERSION")', "line 3: the version is computed"),
        (f'url "{URL}"\n  on_arm do\n    version "2"\n  end', "line 4: the version is for some systems only"),
        (
            f'url "{URL}"\n  version "2"\n  version "3" if OS.mac?',
            "line 4: the version depends on the system",
        ),
        (
            f'url "{URL}"\n  on_arm do\n    url "https://example.org/foo-1.3.tar.gz"\n  end',
            "line 4: the version depends on the system",
        ),
        (f'url "{URL}"\n  def version\n    "2"\n  end', "line 3: not known: def version"),
        (f'url "{URL}"\n  def self.url(*)\n  end', "line 3: not known: def self.url(*) end"),
        (f'url "{URL}"\n  def pkg_version = "2"', 'line 3: not known: def pkg_version = "2"'),
    ],
)
def test_an_unknown_version_is_said_to_be_unknown_before_all_else(body: str, why: str) -> None:
    formula = read_class(f"{body}\n  {BOTTLE}")
    assert formula.version is None
    assert why in formula.gaps[0]
    assert [(one.tag, one.digest.value, one.rebuild) for one in formula.unnamed] == [("sonoma", A, 0)]
    assert formula.bottles == ()
    assert formula.root_url == "https://ghcr.io/v2/homebrew/core"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("version", "1.2.3"),
        (" version ", "1.2.3"),
        ("version.to_s", "1.2.3"),
        ("version.major", "1"),
        ("version.minor", "2"),
        ("version.patch", "3"),
        ("version.major_minor", "1.2"),
        ("version.major_minor_patch", "1.2.3"),
        ("version.tr('.', '_')", None),
        ("version.major.to_i + 1", None),
        ("name", None),
    ],
)
def test_a_stated_version_can_stand_in_the_url(expression: str, value: str | None) -> None:
    formula = read_class(f'version "1.2.3"\n  url "https://example.org/#{{{expression}}}.tar.gz"')
    assert formula.version == "1.2.3"
    if value is None:
        assert (formula.source, formula.gaps) == (None, ("line 3: the source is computed",))
    else:
        assert formula.source == Source(f"https://example.org/{value}.tar.gz")


@pytest.mark.parametrize("version", ["2024.01.05", "1.2rc1", "1-2"])
def test_parts_of_a_version_that_brew_would_spell_differently_are_not_guessed(version: str) -> None:
    formula = read_class(f'version "{version}"\n  url "https://example.org/#{{version.major_minor}}.tar.gz"')
    assert (formula.version, formula.source) == (version, None)


def test_a_version_that_is_stated_later_does_not_stand_in_the_url() -> None:
    formula = read_class('url "https://example.org/#{version}.tar.gz"\n  version "1.2"')
    assert (formula.version, formula.source) == ("1.2", None)


@pytest.mark.parametrize(
    ("body", "source", "gap"),
    [
        (f'sha256 "{A.upper()}"', Source(URL, A), None),
        (f'sha256 "{A}"\n  sha256 "{B}"', Source(URL, B), None),
        (f'on_arm do\n    sha256 "{B}"\n  end\n  sha256 "{A}"', Source(URL, A), None),
        ("", Source(URL), None),
        ("sha256 digest", Source(URL), "line 3: the digest of the source is not written out"),
        ('sha256 "abc"', Source(URL), "line 3: the digest of the source is not written out"),
        (
            f'on_arm do\n    url "{OTHER_URL}"\n  end',
            Source(URL),
            "line 4: some systems have a source of their own",
        ),
        (f'url "{OTHER_URL}"', Source(OTHER_URL), None),
        (f'mirror "{URL}"', Source(URL), None),
        (f'resource "x" do\n    url "{URL}x"\n    sha256 "{A}"\n  end', Source(URL), None),
        (f'head do\n    url "{URL}x"\n  end', Source(URL), None),
        (f'patch do\n    url "{URL}x"\n    sha256 "{A}"\n  end', Source(URL), None),
        ("livecheck do\n    url :stable\n  end", Source(URL), None),
    ],
)
def test_the_source_is_the_one_for_all_systems(body: str, source: Source, gap: str | None) -> None:
    formula = read(body)
    assert formula.source == source
    assert formula.gaps == (() if gap is None else (gap,))


def test_a_source_for_some_systems_only_is_not_the_source() -> None:
    formula = read_class(f'on_macos do\n    url "{URL}"\n  end')
    assert (formula.version, formula.source) == ("1.2", None)
    assert formula.gaps == ("line 3: some systems have a source of their own",)


@pytest.mark.parametrize("word", ["revision", "version_scheme"])
@pytest.mark.parametrize(
    "written", ["x", '"1"', "01", "1_0", "0x1", "-1", "1.5", "1, 2", "9999999999", "1 if OS.mac?"]
)
def test_a_number_that_is_not_written_out_is_refused(word: str, written: str) -> None:
    with pytest.raises(FormulaError, match=rf"line 3: {word}"):
        read(f"{word} {written}")


def test_a_number_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(FormulaError, match="line 4: revision depends on the system, or stands there twice"):
        read("revision 1\n  revision 2")


# Dependencies


@pytest.mark.parametrize(
    ("body", "dependencies"),
    [
        ('depends_on "x"', [("x",)]),
        ('depends_on("x")', [("x",)]),
        ('depends_on "octo/tap/x"', [("octo/tap/x",)]),
        ('depends_on "x"\n  depends_on "x"', [("x",)]),
        ('X = "x"\n  depends_on "#{X}@2"', [("x@2",)]),
        ('depends_on "x" => :build', []),
        ('depends_on "x" => :test', []),
        ('depends_on "x" => [:build, :test]', []),
        ('depends_on "x" => %i[build test]', []),
        ('depends_on "x" => :optional', []),
        ('depends_on "x" => :recommended', [("x",)]),
        ('depends_on "x" => "with-y"', [("x",)]),
        ('depends_on "x" => ["with-y", :build]', []),
        ("depends_on :macos", []),
        ("depends_on macos: :sonoma", []),
        ("depends_on :xcode => :build", []),
        ('depends_on xcode: ["15", :build]', []),
        ("depends_on FooRequirement", []),
        ("depends_on FooRequirement => :build", []),
        ('stable do\n    depends_on "x"\n  end', [("x",)]),
        ('head do\n    depends_on "x"\n  end', []),
        ('resource "r" do\n    depends_on "x"\n  end', []),
        ('on_macos do\n    depends_on "x"\n  end', [("x", "on_macos")]),
        ('on_linux { depends_on "x" }', [("x", "on_linux")]),
        (
            'on_intel do\n    on_linux do\n      depends_on "x"\n    end\n  end',
            [("x", "on_intel", "on_linux")],
        ),
        ('on_sonoma do\n    depends_on "x"\n  end', [("x", "on_sonoma")]),
        ('on_sonoma :or_newer do\n    depends_on "x"\n  end', [("x", "on_sonoma_or_newer")]),
        ('on_sonoma :or_older do\n    depends_on "x"\n  end', [("x", "on_sonoma_or_older")]),
        ('depends_on "x" if OS.mac?', [("x", "on_macos")]),
        ('depends_on "x" unless OS.mac?', [("x", "not:on_macos")]),
        ('depends_on "x" if y', [("x", "if y")]),
        ('depends_on "x" unless y', [("x", "not:if y")]),
        ('depends_on "x" if build.with? "y"', [("x", 'if build.with? "y"')]),
        (
            'if OS.mac?\n depends_on "x"\n elsif y\n depends_on "y"\n else\n depends_on "z"\n end',
            [("x", "on_macos"), ("y", "not:on_macos", "if y"), ("z", "not:on_macos", "not:if y")],
        ),
        (
            'unless OS.linux?\n depends_on "x"\n else\n depends_on "y"\n end',
            [("x", "not:on_linux"), ("y", "on_linux")],
        ),
        ("if OS.mac?\n end", []),
        ('uses_from_macos "x"', [("x", "on_linux")]),
        ('uses_from_macos "x" => :build', []),
        ('uses_from_macos "x" => [:build, :test], since: :sonoma', []),
        (
            'uses_from_macos "x", since: :sonoma',
            [("x", "on_linux"), ("x", "on_macos", "not:on_sonoma_or_newer")],
        ),
        ('uses_from_macos "x", since: :leopard', [("x", "on_linux")]),
        ('on_intel do\n    uses_from_macos "x"\n  end', [("x", "on_intel", "on_linux")]),
    ],
)
def test_what_is_needed_at_run_time_and_where(body: str, dependencies: list[tuple[str, ...]]) -> None:
    formula = read(body)
    assert [(one.name, *one.conditions) for one in formula.dependencies] == dependencies
    assert formula.gaps == ()


@pytest.mark.parametrize(
    "statement",
    [
        "depends_on name",
        "depends_on Foo.new",
        'depends_on "x#{y}"',
        "depends_on(*x)",
        "depends_on",
        "uses_from_macos x",
        "uses_from_macos",
    ],
)
def test_a_dependency_that_is_computed_is_said(statement: str) -> None:
    formula = read(statement)
    assert formula.dependencies == ()
    assert formula.gaps == (f"line 3: a dependency is computed: {statement}",)


# Ends


@pytest.mark.parametrize(
    ("body", "deprecated"),
    [
        ('deprecate! date: "2026-01-02", because: :unmaintained', "unmaintained, since 2026-01-02"),
        ('deprecate! because: "is old"', "is old"),
        ("deprecate!", "no reason given"),
        ("deprecate! because: reason", "no reason given"),
        ('deprecate! "2026-01-02"', "no reason given"),
        ("on_macos do\n    deprecate! because: :old\n  end", "old (on_macos)"),
        ("deprecate! because: :all\n  on_macos do\n    deprecate! because: :old\n  end", "all"),
        ("on_macos do\n    deprecate! because: :old\n  end\n  deprecate! because: :all", "all"),
    ],
)
def test_why_it_is_deprecated(body: str, deprecated: str) -> None:
    assert read(body).deprecated == deprecated
    assert read(body.replace("deprecate!", "disable!")).disabled == deprecated


# What is not read


@pytest.mark.parametrize(
    ("body", "gap"),
    [
        ('eval "version %q(2)"', 'line 3: not known: eval "version %q(2)"'),
        ("send :bottle", "line 3: not known: send :bottle"),
        ("my_macro do\n    x\n  end", "line 3: not known: my_macro do x end"),
        ("extend Magic", "line 3: not known: extend Magic"),
        ("include Magic", "line 3: what it includes is not read: include Magic"),
        ('Foo.version "2"', 'line 3: not run: Foo.version "2"'),
        ("begin\n    x\n  end", "line 3: not run: begin x end"),
        ('(version "2")', 'line 3: not run: (version "2")'),
        ('case x\n  when 1 then version "2"\n  end', "line 3: not run: case x"),
        ("class << self\n    def version = 2\n  end", "line 3: not run: class << self def version = 2 end"),
        ("alias version name", "line 3: not run: alias version name"),
        ("on_nothing do\n    x\n  end", "line 4: not known: x"),
        ("X = Struct.new(:a)", "line 3: not known: Struct.new(:a)"),
    ],
)
def test_what_is_not_read_is_said_and_leaves_the_version_open(body: str, gap: str) -> None:
    formula = read(f"{body}\n  {BOTTLE}")
    assert formula.gaps[0].startswith(gap), formula.gaps
    assert (formula.version, formula.bottles, len(formula.unnamed)) == (None, (), 1)


def test_a_loop_that_may_only_add_dependencies_leaves_the_version_known() -> None:
    formula = read('["x"].each do |x|\n    depends_on x\n  end')
    assert (formula.version, formula.source) == ("1.2", Source(URL))
    assert formula.gaps == ('line 3: not run: ["x"].each do |x| depends_on x end',)


@pytest.mark.parametrize(
    "body",
    [
        "include Language::Python::Virtualenv, Language::Python::Shebang",
        '["a"].each do |name|\n    patch do\n      url name\n    end\n  end',
        "preserve_rpath",
        "private",
        "stable",
        "version",
        "MAX = 3",
        "bottle :unneeded",
        "class Helper\n    def version = 1\n  end",
        "module Helper\n  end",
        'keg_only <<~EOS\n    bottle do\n      sha256 sonoma: "x"\n    end\n  EOS',
        "def caveats\n    version bottle url\n  end",
        ";",
    ],
)
def test_what_is_of_no_consequence_is_not_said(body: str) -> None:
    formula = read(body)
    assert (formula.version, formula.source, formula.gaps) == ("1.2", Source(URL), ())
    assert formula.bottles == ()


@pytest.mark.parametrize(
    ("before", "gap"),
    [
        ('require "json"\n', None),
        ('require "os/linux/glibc"\n', None),
        ("def helper\nend\nX = 1\nmodule M\nend\n", None),
        ('require_relative "../lib/x"\n', 'line 1: not known: require_relative "../lib/x"'),
        ('require "../lib/x"\n', 'line 1: not known: require "../lib/x"'),
        ('require "/tmp/x"\n', 'line 1: not known: require "/tmp/x"'),
        ('require File.expand_path("x")\n', 'line 1: not known: require File.expand_path("x")'),
        ("Formula.prepend Magic\n", "line 1: not known: Formula.prepend Magic"),
    ],
)
def test_what_runs_outside_of_the_class_leaves_the_version_open(before: str, gap: str | None) -> None:
    formula = read_text(f"{before}class Foo < Formula\n  url '{URL}'\nend\n__END__\nbottle do\n")
    assert (formula.version, formula.gaps) == (("1.2", ()) if gap is None else (None, (gap,)))


@pytest.mark.parametrize(
    ("header", "said"), [("class Foo < Base", "Base"), ("class Foo", "nothing"), ("class Foo < a(1)", "a(1)")]
)
def test_what_is_inherited_is_not_read_and_leaves_the_version_open(header: str, said: str) -> None:
    inherits = f"it inherits from {said}, which is not read"
    for body in (f'url "{URL}"', f'url "{URL}"\n  version "2.0"', "head 'x'"):
        formula = read_text(f"{header}\n  {body}\nend\n")
        assert (formula.version, formula.gaps[0]) == (None, inherits)


def test_there_is_an_end_to_what_is_said() -> None:
    formula = read("what_is_this\n" * 10_000)
    assert len(formula.gaps) == MAX_GAPS + 1
    assert formula.gaps[-1] == "there is more that is not read"
    assert len(read_text("outside\n" * 1000 + f"class Foo < Formula\n url '{URL}'\nend\n").gaps) == 1


# Bottle blocks that are, and that are not


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no class Foo"),
        ("x = 1\n", "no class Foo"),
        ("module M\n  class Foo < Formula\n  end\nend\n", "no class Foo"),
        ("class Foo < Formula\nend\nclass Foo\nend\n", "the class Foo stands there 2 times: lines 1, 3"),
        ("class Foo < Formula\n", "not Ruby: line 1"),
        ("class Foo < Formula\n  url 'a'\n  )\nend\n", "not Ruby: line 3"),
        ("class Foo < Formula\n  url 'a\nend\n", "not Ruby: line"),
        (f"class Foo < Formula\n  {BOTTLE}\n  {BOTTLE}\nend\n", "2 bottle blocks: lines 2, 5"),
        (f"class Foo < Formula\n  if false\n    {BOTTLE}\n  end\nend\n", "line 3: a bottle block under a"),
        (f"class Foo < Formula\n  on_arm do\n    {BOTTLE}\n  end\nend\n", "line 3: a bottle block under a"),
        (f"class Foo < Formula\n  x = {BOTTLE}\nend\n", f"line 2: {STRAY}"),
        (f"class Foo < Formula\n  self.{BOTTLE}\nend\n", f"line 2: {STRAY}"),
        (f"class Foo < Formula\n  def self.x\n    {BOTTLE}\n  end\nend\n", f"line 3: {STRAY}"),
        (f"class Foo < Formula\n  class Bar\n    {BOTTLE}\n  end\nend\n", f"line 3: {STRAY}"),
        (f"class Foo < Formula\nend\nclass Bar < Formula\n  {BOTTLE}\nend\n", f"line 4: {STRAY}"),
        (f"class Foo < Formula\n  [1].each do\n    {BOTTLE}\n  end\nend\n", f"line 3: {STRAY}"),
        (f"class Foo < Formula\n  head 'x'\n  {BOTTLE}\nend\n", "line 3: bottles without a stable source"),
    ],
)
def test_a_file_that_cannot_be_read_as_one_formula_is_refused(text: str, why: str) -> None:
    with pytest.raises(FormulaError) as raised:
        read_text(text)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    "decoy",
    [
        f"# {BOTTLE}".replace("\n", "\n# "),
        f"=begin\n{BOTTLE}\n=end",
        f"desc '{BOTTLE}'",
        f"X = <<~EOS\n{BOTTLE}\nEOS",
        'depends_on "bottle" => :build',
        "pour_bottle? { true }",
        "pour_bottle? only_if: :clt_installed",
        "def install\n    bottle.tag\n    bottle\n  end",
        "def été\n    1\n  end",
    ],
)
def test_what_only_looks_like_a_bottle_block_is_none(decoy: str) -> None:
    assert read(decoy).bottles == ()
    (bottle,) = read(f"{decoy}\n  {BOTTLE}").bottles
    assert bottle.digest == Digest("sha256", A)
    (bottle,) = read(f"{BOTTLE}\n  {decoy}").bottles
    assert bottle.line == 4


def test_a_block_after_the_end_of_the_program_is_none() -> None:
    assert read_text(f"class Foo < Formula\n  url '{URL}'\nend\n__END__\n  {BOTTLE}\n").bottles == ()


def test_bottles_of_a_stable_block_are_bottles() -> None:
    formula = read_class(f'stable do\n    url "{URL}"\n    {BOTTLE}\n  end')
    assert [bottle.tag for bottle in formula.bottles] == ["sonoma"]


def test_a_version_that_no_file_name_can_hold_is_refused() -> None:
    with pytest.raises(FormulaError, match="bottle sonoma"):
        read(f'version "1/2"\n  {BOTTLE}')


# Bytes and bounds


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"class Foo < Formula\n  desc '\xe9t\xe9'\nend\n", "not UTF-8 at byte 28"),
        (b"class Foo < Formula\n\0end\n", "control character"),
        (b"class Foo < Formula\nend\n\x1a", "control character"),
        (b"class Foo < Formula\nend\n\x04", "control character"),
        (b"#" * (MAX_SOURCE_BYTES + 1), "longer than the limit of 524,288 bytes"),
    ],
)
def test_bytes_that_ruby_and_others_read_differently_are_refused(source: bytes, why: str) -> None:
    with pytest.raises(FormulaError, match=why):
        read_formula(source, tap="octo/tap", name="foo")


def test_a_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    text = f"class Foo < Formula\n  url '{URL}'\n  # {'é'}\n  {BOTTLE}\nend\n"
    plain = read_text(text)
    marked = read_formula(b"\xef\xbb\xbf" + text.encode(), tap="octo/tap", name="foo")
    windows = read_formula(text.replace("\n", "\r\n").encode(), tap="octo/tap", name="foo")
    assert plain.bottles
    assert plain.bottles == marked.bottles == windows.bottles
    assert plain.source == marked.source == windows.source


def test_the_tap_is_in_lower_case() -> None:
    formula = read_formula(f"class Foo < Formula\n url '{URL}'\nend\n".encode(), tap="Octo/Tap", name="foo")
    assert formula.full_name == "octo/tap/foo"


@pytest.mark.parametrize(
    "opening", ["stable do", "on_arm do", "if x", "unless x", "on_system :linux, macos: :sonoma do"]
)
def test_blocks_within_each_other_have_an_end(opening: str) -> None:
    def nested(depth: int) -> str:
        return f"{opening}\n" * depth + 'depends_on "x"\n' + "end\n" * depth

    assert [one.name for one in read(nested(MAX_DEPTH)).dependencies] == ["x"]
    for depth in (MAX_DEPTH + 1, 10_000):
        with pytest.raises(FormulaError, match="nested too deeply"):
            read(nested(depth))


@pytest.mark.parametrize(
    "deep",
    [
        'depends_on "x"' + " if y" * 10_000,
        "if a\n" + 'elsif b\n depends_on "x"\n' * 10_000 + "end",
    ],
)
def test_conditions_have_an_end(deep: str) -> None:
    with pytest.raises(FormulaError, match=r"too deeply|too many conditions"):
        read(deep)
    branches = "if a\n" + "elsif b\n" * (MAX_CONDITIONS - 1)
    assert read(f"{branches}end").gaps == ()
    with pytest.raises(FormulaError, match="too many conditions"):
        read(f"{branches}elsif c\nend")


def test_loops_within_each_other_have_an_end() -> None:
    assert read("x.each do\n" * 500 + "end\n" * 500).gaps


def test_constants_in_constants_have_an_end() -> None:
    doubled = "".join(f'A{n + 1} = "#{{A{n}}}#{{A{n}}}"\n' for n in range(40))
    formula = read(f'A0 = "x"\n{doubled}\nversion A40')
    assert formula.gaps[0].endswith("the version is computed")
    assert read(f'version "{"1" * MAX_STRING}"').version == "1" * MAX_STRING
    assert read(f'version "{"1" * (MAX_STRING + 1)}"').version is None


def test_literals_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brew_provenance.formula.syntax.MAX_SECONDS", 0)
    with pytest.raises(FormulaError, match="longer than the limit of 0 s"):
        read_text("%w(" * 150_000)
    monkeypatch.undo()
    assert read("#" * 20_000).version == "1.2"


def test_long_files_can_be_read_side_by_side() -> None:
    texts = [f"# {'x' * 60}\n" * 500 + f'depends_on "x{number}"' for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        found = [formula.dependencies[0].name for formula in threads.map(read, texts)]
    assert found == [f"x{number}" for number in range(40)]


_WORDS = """
bottle root_url rebuild sha256 url version revision depends_on Formula V 1
do end if elsif else unless def class on_arm each begin case when
__END__ =begin =end <<~E E #{ } " ' %w( # x "x" :x x: => [ ] ( ) { , . = ;
"""
WORDS = st.sampled_from([f'sha256 sonoma: "{A}"', f'"{URL}"', "\n", *_WORDS.split()])


@given(st.lists(WORDS, max_size=40))
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    text = " ".join(words)
    for whole in (text, f"class Foo < Formula\n{text}\nend\n"):
        try:
            formula = read_text(whole)
        except FormulaError:
            continue
        assert {bottle.digest.value for bottle in formula.bottles} <= {A}
        assert {bottle.digest.value for bottle in formula.unnamed} <= {A}
        assert formula.version is not None or formula.gaps


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        read_formula(b"class Foo < Formula\n" + raw + b"\nend\n", tap="octo/tap", name="foo")
    except FormulaError as error:
        assert str(error)
