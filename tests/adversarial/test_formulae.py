"""Formulae that look like other ones than they are: whoever writes a tap chooses every byte.

Ruby makes of each of them another version, other bottles or another revision than the class seems to
declare. A reader may refuse it or leave the version open, but may not name a bottle.
"""

from __future__ import annotations

import pytest

from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.ruby import read_formula

A, B = "a" * 64, "b" * 64
URL = '  url "https://example.org/foo-1.2.tar.gz"\n'
BOTTLES = f'  bottle do\n    sha256 cellar: :any, sonoma: "{A}"\n  end\n'
OTHER = f'bottle {{ sha256 sonoma: "{B}" }}'


def formula(body: str = "", before: str = "", after: str = "", head: str = "Foo < Formula") -> str:
    return f"{before}class {head}\n{URL}{BOTTLES}{body}\nend\n{after}"


def with_block(block: str, before: str = "") -> str:
    return f"class Foo < Formula\n{URL}{before}  bottle do\n    {block}\n  end\nend\n"


def in_method(code: str) -> str:
    return formula(f"  def install\n    x = 4\n    {code}\n  end")


def read(text: str | bytes) -> Formula | None:
    source = text.encode() if isinstance(text, str) else text
    try:
        return read_formula(source, tap="octo/tap", name="foo")
    except FormulaError:
        return None


def test_the_formula_that_they_are_made_of_is_read() -> None:
    found = read(formula())
    assert found is not None
    assert (found.version, [bottle.digest.value for bottle in found.bottles]) == ("1.2", [A])


STATEMENTS = [
    # Calls of the class by other ways than a statement.
    'self.version "9.9"',
    'Foo.version "9.9"',
    'Foo::version "9.9"',
    'itself.version "9.9"',
    'stable.version "9.9"',
    'stable&.version "9.9"',
    'Foo\n    # between\n    .version "9.9"',
    f"Foo.{OTHER}",
    f"self.{OTHER}",
    'send :version, "9.9"',
    'public_send(:version, "9.9")',
    f'__send__(:bottle) {{ sha256 sonoma: "{B}" }}',
    'method(:version).call "9.9"',
    'method(:version).("9.9")',
    '["9.9"].each(&method(:version))',
    'eval "version %q(9.9)"',
    'instance_eval "version %q(9.9)"',
    'class_eval do\n    version "9.9"\n  end',
    'tap { version "9.9" }',
    'stable.instance_exec("9.9") { |v| version v }',
    '["9.9"].each { version _1 }',
    '[1].each { version "9.9" }',
    "[1].each { revision 3 }",
    f"[1].each {{ {OTHER} }}",
    '1.times { version "9.9" }',
    f'E = proc {{ sha256 sonoma: "{B}" }}\n  bottle(&E)',
    f'bottle(&->(_) {{ sha256 sonoma: "{B}" }})',
    # Within what is no statement.
    'begin\n    version "9.9"\n  end',
    'begin\n    raise "x"\n  rescue\n    version "9.9"\n  end',
    'raise("x") rescue version("9.9")',
    'while true\n    version "9.9"\n    break\n  end',
    'for i in [1]\n    version "9.9"\n  end',
    'case 1\n  when 1 then version "9.9"\n  end',
    'true ? version("9.9") : nil',
    'true && version("9.9")',
    'true and version "9.9"',
    'not version "9.9"',
    '(1; version "9.9")',
    '[version("9.9")]',
    'desc version("9.9")',
    'desc "#{version "9.9"}"',
    'desc <<~EOS\n    #{version "9.9"}\n  EOS',
    'desc :"#{version "9.9"}"',
    'desc(/#{version "9.9"}/)',
    'desc %W[#{version "9.9"}]',
    'desc `#{version "9.9"}`',
    'desc <<~EOS.tap { version "9.9" }\n    x\n  EOS',
    'desc(x = version("9.9"))',
    'desc(*version("9.9"))',
    'desc(-> { version "9.9" }.call)',
    'desc(begin\n    version "9.9"\n  end)',
    'desc(if true then version "9.9" end)',
    'desc "x".then { version "9.9" }',
    'desc defined?(version("9.9")).to_s',
    'desc to_enum(:version, "9.9").first',
    'desc self["other/tap/evil"]',
    'desc Formula["other/tap/evil"].name',
    'depends_on "x" => version("9.9")',
    'desc "x" if version("9.9")',
    'if version("9.9")\n    desc "x"\n  end',
    'desc "x" unless version("9.9")',
    # Within the blocks of statements.
    'resource "x" do\n    Foo.version "9.9"\n  end',
    f'resource "x" do\n    Foo.{OTHER}\n  end',
    'resource "x" do\n    url Foo.version("9.9")\n  end',
    'resource "x" do\n    eval "Foo.version %q(9.9)"\n  end',
    'resource "x" do |r = Foo.version("9.9")|\n    url "x"\n  end',
    'resource "x" do\n    url to_enum(:instance_eval, "Foo.version %q(9.9)").first\n  end',
    'resource("x", &->(_) { Foo.version "9.9" })',
    'livecheck do\n    regex(/x/i); Foo.version "9.9"\n  end',
    'patch do\n    Foo.version "9.9"\n  end',
    'fails_with :gcc do\n    Foo.version "9.9"\n  end',
    'pour_bottle? do\n    Foo.version "9.9"\n  end',
    'head do\n    Foo.version "9.9"\n  end',
    f"head do\n    {OTHER}\n  end",
    'post_install_steps do\n    Foo.version "9.9"\n  end',
    # Methods that answer in place of brew's.
    'def version\n    "9.9"\n  end',
    'def version = "9.9"',
    "def revision\n    9\n  end",
    'private def version\n    "9.9"\n  end',
    'on_macos do\n    def version\n      "9.9"\n    end\n  end',
    '[1].each do\n    def version\n      "9.9"\n    end\n  end',
    "attr_reader :version",
    'define_method(:version) { "9.9" }',
    'def evil = "9.9"\n  alias version evil',
    'def evil = "9.9"\n  alias_method :version, :evil',
    "undef version",
    "undef_method :version",
    'class << self\n    def desc(*) = version("9.9")\n  end\n  desc "x"',
    'class << self\n    Foo.version "9.9"\n  end',
    'def self.desc(*)\n    version "9.9"\n  end\n  desc "x"',
    'def (Foo).desc(*)\n    version "9.9"\n  end\n  desc "x"',
    'def self.const_missing(_) = version("9.9")\n  desc Evil',
    'def self.method_missing(*) = version("9.9")\n  evil',
    'prepend Module.new { def version = "9.9" }',
    # Variables.
    "@revision = 7",
    "@revision += 7",
    "@revision, x = 7, 8",
    "desc(@revision = 7)",
    '@stable.version "9.9"',
    '$x = version("9.9")',
    'X ||= version("9.9")',
    'a, b = version("9.9"), 1',
    'L = -> { version "9.9" }\n  L.call',
    'H = Hash.new { version "9.9" }\n  desc H[:x]',
    'at_exit { version "9.9" }',
    'ensure\n  version "9.9"',
    'raise "x"\nrescue\n  version "9.9"',
    # A version that is not the one that was written last.
    'v = "2.0"\n  v << "1"\n  version v',
    'v = "2.0"\n  v.sub!("2", "3")\n  version v',
    'v = "2.0"\n  desc v.replace("9.9")\n  version v',
    'v = "2.0"\n  v[0] = "9"\n  version v',
    'v = "2.0"\n  desc(v = "9.9")\n  version v',
    'v = "2.0"\n  resource "x" do\n    v = "3.0"\n  end\n  version v',
    'v = "2.0"\n  [1].each do\n    patch do\n      v = "3.0"\n    end\n  end\n  version v',
    'v = "2.0"\n  for v in ["3.0"] do end\n  version v',
    'v = "2.0"\n  "3.0" => v\n  version v',
    'v = "2.0"\n  /(?<v>.*)/ =~ "3.0"\n  version v',
    'v = "2.0"\n  (v, x), y = ["3.0", 1], 2\n  version v',
    'V = "2.0"\n  V << "1"\n  version V',
    'V = "2.0"\n  V += "1"\n  version V',
    'V = "2.0"\n  V = "3.0" if true\n  version V',
    'V = "2.0"\n  Foo::V = "3.0"\n  version V',
    'V = "2.0"\n  const_set(:V, "3.0")\n  version V',
    'V = "2.0"\n  patch do\n    V = "3.0"\n  end\n  version V',
    'V = "2.0"\n  class Bar < Requirement\n    Foo::V << "9.9"\n  end\n  version V',
    'version = "9.9"\n  V = "#{version}"\n  version V',
    # Strings that say something else than they seem to.
    'version "2.\\x30"',
    'version "2" + ".0"',
    'version "%s" % "9.9"',
    'version "2.#@z"',
    'version "2.#$0"',
    "version ENV.fetch('V')",
    "version <<~EOS.strip\n    2.0\n  EOS",
    "version ?2",
    'url "https://example.org/foo-1.2.tar.gz", { tag: "v9.9" }',
    'url "https://example.org/foo-1.2.tar.gz", **{ tag: "v9.9" }',
    'url "https://example.org/foo-1.2.tar.gz", "t\\x61g": "v9.9"',
    'url "https://example.org/foo-1.2.tar.gz", "t#{"ag"}": "v9.9"',
    'K = :tag\n  url "https://example.org/foo-1.2.tar.gz", K => "v9.9"',
    'tag = "v9.9"\n  url "https://example.org/foo-1.2.tar.gz", tag:',
    "revision 0x7",
    "revision 1_0",
    "revision 010",
    "revision ?7",
    "revision 7 if false",
    "revision 1\n  revision 2",
    # A variable with the name of a statement: what follows is an operator, and then code.
    'desc = "%s"\n  desc %[version("9.9")]',
    'desc = "%s"\n  desc %[{ a: version("9.9") }]',
    'desc = 4\n  desc /2; version "9.9"; desc/\n  1',
    'desc = [1]\n  EOS = 2\n  desc <<EOS\n  version "9.9"\nEOS',
    '["%s"].each do |desc|\n    desc %[resource("x")]\n  end',
]  # fmt: skip


@pytest.mark.parametrize("body", STATEMENTS)
def test_a_statement_that_does_more_than_it_seems_to_leaves_no_bottle_with_a_name(body: str) -> None:
    found = read(formula(f"  {body}"))
    assert found is None or (found.version, found.bottles) == (None, ())
    if found is not None:
        assert found.gaps


BEFORE = [
    'class Bar < Formula\n  def self.inherited(k) = k.version("9.9")\nend\nFormula = Bar\n',
    'class Formula\n  def self.url(*) = "9.9"\nend\n',
    'class ::Formula\n  def self.revision(*) = 5\nend\n',
    'class ::String\n  def freeze = "9.9"\nend\n',
    'module Evil\n  def desc(*) = version("9.9")\nend\nFormula.extend Evil\n',
    'module R\n  refine String do\n    def freeze = "9.9"\n  end\nend\nusing R\n',
    "if true\n  class Foo < Formula\n    version '9.9'\n  end\nend\n",
    'BEGIN { class ::Formula; def self.sha256(*) = version("9.9"); end }\n',
    'TracePoint.new(:end) { |t| t.self.version "9.9" }.enable\n',
    'require_relative "evil"\n',
    'require "./evil"\n',
    'require "/tmp/evil"\n',
    'require "#{evil}"\n',
    'load "evil.rb"\n',
]  # fmt: skip

AFTER = [
    f"Foo.{OTHER}\n",
    'Foo.version "9.9"\n',
    'Foo.version "9.9" if true\n',
    "Foo.instance_variable_set(:@revision, 7)\n",
    'eval "Foo.version %q(9.9)"\n',
    'Foo.class_eval { version "9.9" }\n',
    'class Foo\n  version "9.9"\nend\n',
    'class Foo\n  version "9.9"\nend if true\n',
    'if true\n  class Foo\n    version "9.9"\n  end\nend\n',
    'class ::Foo\n  version "9.9"\nend\n',
    'module Bar\n  Foo.version "9.9"\nend\n',
    'class Helper < Requirement\n  Foo.version "9.9"\nend\n',
    'class Helper < Requirement\n  X = Foo.version("9.9")\nend\n',
    'class Helper < Foo.version("9.9").class\nend\n',
    'X = Foo.version("9.9")\n',
    'X = Foo\nclass X\n  version "9.9"\nend\n',
    'X, y = Foo, 1\nclass X\n  version "9.9"\nend\n',
    'X = [Foo]\nX.first.version "9.9"\n',
    f"class Bar < Formula\n  {OTHER}\nend\nFoo = Bar\n",
    'class Bar < Formula\n  version "9.9"\nend\nFoo = Bar\n',
    f"Foo = Class.new(Formula) {{ version '9.9'; {OTHER} }}\n",
    'return\nFoo.version "9.9"\n',
    'END { Foo.version "9.9" }\n',
    '[Foo].each { |k| k.version "9.9" }\n',
    '__END__ = 1\nX = 1; __END__\nFoo.version "9.9"\n',
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [*((x, "") for x in BEFORE), *(("", x) for x in AFTER)])
def test_what_runs_outside_of_the_class_leaves_no_bottle_with_a_name(before: str, after: str) -> None:
    found = read(formula(before=before, after=after))
    assert found is None or (found.version, found.bottles) == (None, ())


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ('module Evil\n  def version = "9.9"\nend\n', "prepend Evil"),
        ('module Evil\n  def version = "9.9"\nend\n', "include Evil"),
        ('module Evil\n  def desc(*) = version("9.9")\nend\n', 'extend Evil\n  desc "x"'),
        (
            'module Language\n  class Python\n    def self.included(k) = k.version("9.9")\n  end\nend\n',
            "include Language::Python",
        ),
        ('class Evil\n  def self.to_s = Foo.version("9.9")\nend\n', 'desc "#{Evil}"'),
        (
            'class Evil < Requirement\n  def to_str = Foo.version("9.9")\nend\n',
            'X = Evil.new\n  desc "x" + X',
        ),
        ("def self.__END__ = nil\n", ""),
    ],
)
def test_what_a_file_defines_of_its_own_is_not_taken_for_brews(before: str, body: str) -> None:
    found = read(formula(f"  {body}", before=before))
    assert found is None or (found.version, found.bottles) == (None, ())


@pytest.mark.parametrize(
    "head", ["Foo", "Foo < Bar", "Foo < (Formula)", "Foo < Formula.itself", "Foo < ::Formula"]
)
def test_a_class_that_inherits_from_something_else_is_not_known(head: str) -> None:
    found = read(formula(head=head))
    assert found is None or (found.version, found.bottles) == (None, ())


BLOCKS = [
    f'sha256 cellar: "{B}", sonoma: "{A}"',
    f'sha256 cellar: :any, cellar: "{B}", sonoma: "{A}"',
    f'sha256 cellar: (rebuild 4), sonoma: "{A}"',
    f'sha256 cellar: Foo.version("9.9"), sonoma: "{A}"',
    f'sha256 cellar: "#{{rebuild 4}}", sonoma: "{A}"',
    f'cellar(rebuild 4)\n    sha256 sonoma: "{A}"',
    f'prefix rebuild(3)\n    sha256 sonoma: "{A}"',
    f'root_url "https://x.example", using: (rebuild 4)\n    sha256 sonoma: "{A}"',
    f'root_url "https://x.example/#{{rebuild 4}}"\n    sha256 sonoma: "{A}"',
    f'sha256 ventura: "{B}", sonoma: "{A}"',
    f'sha256(**{{ sonoma: "{B}" }}, ventura: "{A}")',
    f'sha256({{ sonoma: "{A}" }})',
    f'sha256 sonoma: "{A}" if false',
    f'if true\n      sha256 sonoma: "{A}"\n    end',
    f'sha256 sonoma: "{A}"\n  rescue\n    rebuild 4\n  ensure\n    rebuild 5',
    f'sha256 sonoma: "{A}"\n    sha256 sonoma: "{B}"',
    f'sha256 sonoma: "{A}"\n    sha256 intel_sonoma: "{B}"',
    f'sha256 sonoma: "{A}"\n    sha256 x86_64_sonoma: "{B}"',
    f'sha256 arm64_linux: "{A}"\n    sha256 aarch64_linux: "{B}"',
    f'rebuild 1\n    rebuild 2\n    sha256 sonoma: "{A}"',
    f'rebuild 1 + 1\n    sha256 sonoma: "{A}"',
    f'rebuild 0x2\n    sha256 sonoma: "{A}"',
    f'rebuild 010\n    sha256 sonoma: "{A}"',
    f'rebuild -2\n    sha256 sonoma: "{A}"',
    f'rebuild 1_0\n    sha256 sonoma: "{A}"',
    f'self.rebuild 2\n    sha256 sonoma: "{A}"',
    f'@rebuild = 2\n    sha256 sonoma: "{A}"',
    f'x = rebuild(2)\n    sha256 sonoma: "{A}"',
    f't = :ventura\n    sha256 t => "{A}"',
    f'sha256 sonoma: "\\x62{A[1:]}"',
    f'sha256 sonoma: "{A}".tr("a", "b")',
    f'sha256 sonoma: "{A}" "{B}"',
    'sha256 sonoma: "a" * 64',
    "sha256 sonoma: digest_of(:sonoma)",
    "sha256 sonoma: DIGEST",
    'sha256 sonoma: "#{DIGEST}"',
    f"sha256 sonoma: %w[{A}].first",
    f'sha256 "sono#{{"ma"}}": "{A}"',
    f'sha256 "sonom\\x61": "{A}"',
    f'sha256 "sonoma" => "{A}"',
    "sha256 sonoma:",
    f'sha256 "{A}"',
    f'eval "rebuild 4"\n    sha256 sonoma: "{A}"',
    f'instance_variable_set(:@rebuild, 4)\n    sha256 sonoma: "{A}"',
]  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS)
def test_a_bottle_block_that_does_not_write_out_what_it_says_is_refused(block: str) -> None:
    found = read(with_block(block, f'  DIGEST = "{A}"\n'))
    assert found is None or found.bottles == ()


@pytest.mark.parametrize(
    "header",
    [
        'bottle do |x = Foo.version("9.9")|',
        "bottle do |x, y = (rebuild 7)|",
        'bottle(Foo.version("9.9")) do',
        "bottle(:x, *Foo.version('9.9')) do",
    ],
)
def test_a_bottle_block_takes_nothing_that_runs(header: str) -> None:
    text = f'class Foo < Formula\n{URL}  {header}\n    sha256 sonoma: "{A}"\n  end\nend\n'
    found = read(text)
    assert found is None or (found.version, found.bottles) == (None, ())


END = "end; version '9.9'; def foo"
METHODS = [
    # `x` is a variable, and what follows it an operator.
    f"x /2; {END}; 1/\n    2",
    f"x %[1].first; {END}; y = [1]\n",
    f"x ?a : 1; {END}",
    f'x ?"; {END}; " : 1 #"',
    f"@x /2; {END}; 1/\n    2",
    f"$x /2; {END}; 1/\n    2",
    f"$~ /2; {END}; 1/\n    2",
    f"self /2; {END}; 1/\n    2",
    f"y = x \\\n/2; {END}; 1/\n    2",
    f"return/2; {END}; 1/\n    2",
    f"x../2; {END}; 1/\n    2",
    # No value is expected, and `<<` is an operator.
    f"x <<E\n  {END}\n    x <<1\nE",
    f"x<<E\n  {END}\n    x <<1\nE",
    f"@x <<E\n  {END}\n    x <<1\nE",
    f"self <<E\n  {END}\n    x <<1\nE",
    f"x.y<<E\n  {END}\n    x <<1\nE",
    f"foo!<<E\n  {END}\n    x <<1\nE",
    f"x = y <<E\n  {END}\n    y = 2\nE",
    f"x \\\n<<E\n  {END}\n    x\nE",
    f"puts <<E, \\\n  1\n  {END}\nE",
    f"it <<E\n  {END}\n    x <<1\nE",
    # Ruby reads on after a word that is not alone in its line.
    f"puts <<E\nE \n  {END}\nE",
    f"puts <<~E\n  E\t\n  {END}\n  E",
    f'puts <<~"A B"\n  A B \n  {END}\n  A B',
]  # fmt: skip


@pytest.mark.parametrize("code", METHODS)
def test_code_that_a_literal_seems_to_hold_is_not_passed_over(code: str) -> None:
    assert read(in_method(code)) is None


@pytest.mark.parametrize("character", ["\0", "\x04", "\x1a"])
def test_a_program_that_ends_before_its_file_is_refused(character: str) -> None:
    assert read(formula(after=f"{character}\nFoo.version '9.9'\n")) is None


def test_another_encoding_is_refused_as_it_moves_the_ends_of_strings() -> None:
    # In Shift JIS, the last byte of the letter and the backslash are one character.
    body = '  desc "\u3041\\"; version %q(9.9) #"'
    plain = read(formula(body))
    assert plain is not None
    assert plain.version == "1.2"
    for comment in ("# encoding: shift_jis", "# -*- coding: Shift_JIS -*-", "#!ruby\n# coding=sjis"):
        assert read(f"{comment}\n{formula(body)}") is None
        assert read(f"\ufeff{comment}\n{formula(body)}") is None
    for comment in ("# encoding: UTF-8", "# coding: us-ascii", "# frozen_string_literal: true", "# encoding"):
        found = read(f"{comment}\n{formula()}")
        assert found is not None
        assert found.version == "1.2"


@pytest.mark.parametrize(
    "text",
    [
        f"class Foo < Formula\n{URL}=begin\n x =end\n{BOTTLES}=begin\n=end\n  {OTHER}\nend\n",
        f"class Foo < Formula\n{URL}  FOO =begin\n    version '9.9'\n  end\n  desc '=end'\n{BOTTLES}end\n",
        f"class Foo < Formula\n{URL}{BOTTLES}__END__\n  version '9.9'\nend\n",
        formula(after="  __END__\nFoo.version '9.9'\n"),
        formula(after="X = 1; __END__\nFoo.version '9.9'\n"),
        formula(after="__END__ \nFoo.version '9.9'\n"),
        formula(after="__END__\rFoo.version '9.9'\n"),
    ],
)
def test_comments_and_ends_are_where_ruby_sees_them(text: str) -> None:
    found = read(text)
    assert found is None or (found.version, found.bottles) == (None, ())
