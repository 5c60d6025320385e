"""What runs beside what is read: the known leaves the version known, and all else does not.

Attacks are in `tests/adversarial/test_formulae.py`; here is what well-meant formulae do.
"""

from __future__ import annotations

import pytest

from brew_provenance.formula.effects import unforeseen
from brew_provenance.formula.syntax import parse


def look(body: str, before: str = "", after: str = "") -> str | None:
    root = parse(f"{before}class Foo < Formula\n  {body}\nend\n{after}".encode())
    (formula,) = [
        node for node in root.named_children if node.type == "class" and b"class Foo <" in (node.text or b"")
    ]
    return unforeseen(root, formula)


KNOWN = [
    """desc "Foo"
  homepage "https://example.org"
  license any_of: ["MIT", { "GPL-2.0-only" => { with: "X" } }]""",
    'url "https://example.org/#{name}-#{version.major_minor}.tar.gz"',
    """url "https://example.org/foo.git",
      tag: "v1",
      revision: "abc" # a comment""",
    """version "1.2" if OS.mac?
  version "1.3" unless Hardware::CPU.arm?""",
    """if OS.linux? && !Hardware::CPU.arm?
    url "a"
  elsif MacOS.version >= :sonoma
    url "b"
  else
    url "c"
  end""",
    """on_macos do
    on_arm do
      url "a"
    end
  end""",
    """on_system :linux, macos: :sonoma_or_newer do
    depends_on "x"
  end""",
    """stable do
    url "a"
    depends_on "x"
  end
  head do
    url "b"
    depends_on "y" => :build
  end""",
    """bottle do
    root_url "https://example.org", using: Strategy
    rebuild 1
    sha256 sonoma: "a"
  end""",
    """livecheck do
    url :stable
    regex(/foo[._-]v?(\\d+(?:\\.\\d+)+)/i)
    strategy :git do |tags|
      eval tags
    end
  end""",
    """resource "x" do
    url "https://example.org/#{shared_library("x")}"
    sha256 "a"
    patch :DATA
    on_linux do
      url "y"
    end
  end""",
    """patch do
    url "https://example.org/x.patch?full_index=1"
    directory "x"
  end
  patch :p0, :DATA""",
    """fails_with :clang do
    build 1400
    cause <<~EOS
      It does.
    EOS
  end""",
    """fails_with :clang do
    build 900 if DevelopmentTools.clang_build_version <= 900
  end""",
    """pour_bottle? do
    reason "x"
    satisfy { eval "x" }
  end
  pour_bottle? only_if: :clt_installed""",
    """post_install_steps do
    mkdir_p var/"x"
    some_new_step formula_name, "x"
  end""",
    """service do
    run [opt_bin/"x", eval("y")]
  end
  test do
    eval "x"
  end""",
    "include Language::Python::Virtualenv, Language::Python::Shebang",
    """private

  def helper(x = eval("y"))
    x
  end

  private def other = 1""",
    """conflicts_with "x", because: "both install `y`"
  link_overwrite "bin/x", "share/*"
  skip_clean :la""",
    """keg_only <<~EOS
    it is #{version}
  EOS""",
    """deprecate! date: "2026-01-01", because: :unmaintained
  disable! date: "2027-01-01", because: "x"
""",
    """X = "1".freeze
  Y = [X, %w[a b], { c: 1 }].freeze
  Z = "#{X}-#{Y.first}"
  W, V = "1", "2"
""",
    """list = ["a"]
  list << "b" if OS.mac?
  list.compact.each do |x|
    patch do
      url x
    end
  end""",
    """%w[a b].each_slice(2) do |x, y|
    resource x do
      url y
    end
    depends_on x
  end""",
    """x = build
  depends_on "y" if x.with? "z"
  depends_on "w" if build.without?("v")""",
    """depends_on macos: :sonoma
  depends_on "x" => [:build, :test]
  uses_from_macos "y", since: :sonoma""",
    """class Helper < Requirement
    fatal true
    satisfy(build_env: false) { eval "x" }

    def version = 1
  end""",
    """desc "a" + "b" * 2
  desc (1 > 2 ? "a" : "b")
  desc [*X, **{ a: -1 }].to_s""",
    'homepage on_system_conditional(macos: "a", linux: "b")',
    """env :std
  option "with-x", "With x"
  deprecated_option "y" => "with-x"
  cxxstdlib_check :skip""",
    """no_autobump! because: :x
  allow_network_access! :test
  preserve_rpath
  compatibility_version 1""",
    """def install
    eval version
    def version = 2
  end""",
    """boot = Version.new("1.2")
  resource "x" do
    url "https://example.org/#{boot.major_minor_patch}"
  end""",
]


@pytest.mark.parametrize("body", ["", "[1].each", *KNOWN])
def test_what_well_meant_formulae_state_is_known(body: str) -> None:
    assert look(body) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# A comment\n", "__END__\neval x\n"),
        ('require "json"\nrequire "os/linux/glibc"\n', ""),
        ("class Download < CurlDownloadStrategy\n  def fetch(timeout: nil)\n    eval x\n  end\nend\n", ""),
        ("module Helper\n  X = 1\n  def self_help = 1\nend\n", "def helper = eval(x)\nX = [1].freeze\n"),
        ("x = 1 if OS.mac?\n", ""),
    ],
)
def test_what_well_meant_formulae_have_outside_of_their_class_is_known(before: str, after: str) -> None:
    assert look("", before, after) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("my_macro", "line 2: not known: my_macro"),
        ('desc "x"\n\n  my_macro :a do\n    b\n  end', "line 4: not known: my_macro :a do b end"),
        ("desc my_macro(:a)", "line 2: not known: my_macro(:a)"),
        ("desc x.something", "line 2: not known: x.something"),
        ("desc x.version(1)", "line 2: not known: x.version(1)"),
        ("desc x ^ y", "line 2: not known: x ^ y"),
        ('desc x[Formula["y"]]', 'line 2: not known: Formula["y"]'),
        ('resource "x" do\n    instance_eval y\n  end', "line 3: not known: instance_eval y"),
        ("on_macos do |x|\n    desc x\n  end", "line 2: not known: x"),
        ("[1].each do |version|\n    patch\n  end", "line 2: not known: version"),
        ("[1].each do |x, (y, z)|\n    patch\n  end", "line 2: not known: (y, z)"),
        ("include Helper", "line 2: not known: include Helper"),
        ("require name", "line 2: not known: require name"),
        ("class Version\n  end", "line 2: not known: class Version end"),
        ("X = Formula", "line 2: not known: X = Formula"),
        ("ENV = {}", "line 2: not known: ENV = {}"),
        ("X = 1\n  class X\n  end", "line 3: not known: class X end"),
        ("class X\n  end\n  X = 1", "line 4: not known: X = 1"),
        ("class A::B\n  end", "line 2: not known: class A::B end"),
        ("patch do\n    X = 1\n  end", "line 3: not known: X = 1"),
        ("def pkg_version\n    1\n  end", "line 2: not known: def pkg_version 1 end"),
        ("desc(def url = 1)", "line 2: not known: def url = 1"),
        (f"desc {'x' * 500}.y", f"line 2: not known: {'x' * 60}"),
    ],
)
def test_the_first_thing_that_is_not_known_is_named(body: str, said: str) -> None:
    assert look(f"{body}\n  eval x") == said


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("desc (", ")"),
        ("desc [", "]"),
        ("desc !", ""),
        ('desc "#{', '}"'),
        ("if x\n", "\nend"),
        ("on_macos do\n", "\nend"),
        ("[1].each do\n", "\nend"),
        ("patch do\n", "\nend"),
        ("class X\n", "\nend"),
    ],
)
def test_there_is_an_end_to_nesting(opening: str, closing: str) -> None:
    statement, _, rest = opening.partition(" ")
    inner = opening if closing.startswith("\n") else rest
    first = "" if inner == opening else f"{statement} "
    fair, deep = (
        f"{first}{inner * depth}{'desc' if not first else 'x'}{closing * depth}" for depth in (20, 150)
    )
    assert look(fair) is None
    said = look(deep)
    assert said is not None
    assert "not known" in said
