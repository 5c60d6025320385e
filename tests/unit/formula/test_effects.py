"""What runs beside what is read: the known leaves the version known, and all else does not.

Attacks are in `tests/adversarial/test_formulae.py`; here is what well-meant formulae do.
"""

from __future__ import annotations

import pytest

from brew_provenance.formula.effects import MAX_DEPTH, unforeseen
from brew_provenance.formula.syntax import parse


def look(body: str, before: str = "", after: str = "") -> str | None:
    root = parse(f"{before}class Foo < Formula\n  {body}\nend\n{after}".encode())
    (formula,) = [
        node for node in root.named_children if node.type == "class" and b"class Foo <" in (node.text or b"")
    ]
    return unforeseen(root, formula)


@pytest.mark.parametrize(
    "body",
    [
        "",
        'desc "Foo"\n  homepage "https://example.org"\n  license any_of: ["MIT", { "GPL-2.0-only" => { with: "X" } }]',
        'url "https://example.org/#{name}-#{version.major_minor}.tar.gz"',
        'url "https://example.org/foo.git",\n      tag: "v1",\n      revision: "abc" # a comment',
        'version "1.2" if OS.mac?\n  version "1.3" unless Hardware::CPU.arm?',
        'if OS.linux? && !Hardware::CPU.arm?\n    url "a"\n  elsif MacOS.version >= :sonoma\n    url "b"\n  else\n    url "c"\n  end',
        'on_macos do\n    on_arm do\n      url "a"\n    end\n  end',
        'on_system :linux, macos: :sonoma_or_newer do\n    depends_on "x"\n  end',
        'stable do\n    url "a"\n    depends_on "x"\n  end\n  head do\n    url "b"\n    depends_on "y" => :build\n  end',
        'bottle do\n    root_url "https://example.org", using: Strategy\n    rebuild 1\n    sha256 sonoma: "a"\n  end',
        'livecheck do\n    url :stable\n    regex(/foo[._-]v?(\\d+(?:\\.\\d+)+)/i)\n    strategy :git do |tags|\n      eval tags\n    end\n  end',
        'resource "x" do\n    url "https://example.org/#{shared_library("x")}"\n    sha256 "a"\n    patch :DATA\n    on_linux do\n      url "y"\n    end\n  end',
        'patch do\n    url "https://example.org/x.patch?full_index=1"\n    directory "x"\n  end\n  patch :p0, :DATA',
        'fails_with :clang do\n    build 1400\n    cause <<~EOS\n      It does.\n    EOS\n  end',
        'fails_with :clang do\n    build 900 if DevelopmentTools.clang_build_version <= 900\n  end',
        'pour_bottle? do\n    reason "x"\n    satisfy { eval "x" }\n  end\n  pour_bottle? only_if: :clt_installed',
        'post_install_steps do\n    mkdir_p var/"x"\n    some_new_step formula_name, "x"\n  end',
        'service do\n    run [opt_bin/"x", eval("y")]\n  end\n  test do\n    eval "x"\n  end',
        'include Language::Python::Virtualenv, Language::Python::Shebang',
        'private\n\n  def helper(x = eval("y"))\n    x\n  end\n\n  private def other = 1',
        'conflicts_with "x", because: "both install `y`"\n  link_overwrite "bin/x", "share/*"\n  skip_clean :la',
        'keg_only <<~EOS\n    it is #{version}\n  EOS',
        'deprecate! date: "2026-01-01", because: :unmaintained\n  disable! date: "2027-01-01", because: "x"',
        'X = "1".freeze\n  Y = [X, %w[a b], { c: 1 }].freeze\n  Z = "#{X}-#{Y.first}"\n  W, V = "1", "2"',
        'list = ["a"]\n  list << "b" if OS.mac?\n  list.compact.each do |x|\n    patch do\n      url x\n    end\n  end',
        '%w[a b].each_slice(2) do |x, y|\n    resource x do\n      url y\n    end\n    depends_on x\n  end',
        'x = build\n  depends_on "y" if x.with? "z"\n  depends_on "w" if build.without?("v")',
        'depends_on macos: :sonoma\n  depends_on "x" => [:build, :test]\n  uses_from_macos "y", since: :sonoma',
        'class Helper < Requirement\n    fatal true\n    satisfy(build_env: false) { eval "x" }\n\n    def version = 1\n  end',
        'desc "a" + "b" * 2\n  desc (1 > 2 ? "a" : "b")\n  desc [*X, **{ a: -1 }].to_s',
        'homepage on_system_conditional(macos: "a", linux: "b")',
        'env :std\n  option "with-x", "With x"\n  deprecated_option "y" => "with-x"\n  cxxstdlib_check :skip',
        "no_autobump! because: :x\n  allow_network_access! :test\n  preserve_rpath\n  compatibility_version 1",
        "def install\n    eval version\n    def version = 2\n  end",
        "boot = Version.new(\"1.2\")\n  resource \"x\" do\n    url \"https://example.org/#{boot.major_minor_patch}\"\n  end",
    ],
)  # fmt: skip
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
        ("desc x / y", "line 2: not known: x / y"),
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
    [("(", ")"), ("[", "]"), ("!", ""), ("if x\n", "\nend\n"), ("on_macos do\n", "\nend\n"), ('"#{', '}"')],
)
def test_there_is_an_end_to_nesting(opening: str, closing: str) -> None:
    fair, deep = MAX_DEPTH // 4, 5000
    assert (
        look(
            f"desc {opening * fair}x{closing * fair}"
            if closing[:1] != "\n"
            else f"{opening * fair}desc{closing * fair}"
        )
        is None
    )
    text = (
        f"desc {opening * deep}x{closing * deep}"
        if closing[:1] != "\n"
        else f"{opening * deep}desc{closing * deep}"
    )
    said = look(text)
    assert said is not None
    assert "not known" in said
