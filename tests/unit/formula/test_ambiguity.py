"""Ruby that can be read in one way only is read, and the line of any other is named.

Attacks are in `tests/adversarial/test_formulae.py`; here is what well-meant formulae do.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.formula import FormulaError
from brew_provenance.formula.syntax import parse


def refusal(text: str) -> str | None:
    try:
        parse(text.encode())
    except FormulaError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "code",
    [
        'assert_match /foo/, shell_output("foo")',
        "assert_match %r{foo}, output",
        "inreplace %w[a b], /x/, y",
        "rm %w[a b].map { |x| x }",
        "keg_only <<~EOS\n  it is\nEOS",
        "s = <<~EOS\n  x\nEOS\ns += <<~EOS\n  y\nEOS",
        "s ||= <<~EOS\n  x\nEOS",
        "write(<<~A, <<~B)\n  a\nA\n  b\nB",
        '(testpath/"x").write <<~EOS\n  x\nEOS',
        "x.write <<~'EOS'\n  x\nEOS",
        "foo! <<~EOS\n  x\nEOS",
        "return <<~EOS if x\n  x\nEOS",
        "<<~EOS\n  x\nEOS",
        "def caveats\n  # A comment\n\n  <<~EOS\n    x\n  EOS\nend",
        "{ a: <<~A, b => <<~B }\n  a\nA\n  b\nB",
        "x && <<~EOS\n  x\nEOS",
        "[<<~EOS]\n  x\nEOS",
        '"#{<<~EOS}"\n  x\nEOS',
        "x ? <<~A : <<~B\n  a\nA\n  b\nB",
        'puts <<~"A B"\n  x\nA B',
        "puts <<-EOS\n  x\n  EOS",
        "puts <<~EOS\r\n  x\r\nEOS\r\n",
        "puts <<~EOS\n  EOSX\n  EOS x\n  # EOS \nEOS",
        # Operators that are written as such.
        "x = 4\nx / 2\nx % 2\nx /= 2\nx << 1\nx <<1\nx ? 1 : 2\nx/2\n[1].sum / x",
        "@x / 2\n@x << 1\n$x % 3\nself / 2",
        "x = [1]\nx << y\nx.first <<y",
        "a.b /x/, 1\na.b %w[x]\na.b ?x",
        "return %w[a b] if x\n(1..9)",
        # Not in code.
        "# x = 1; x /2\n# <<EOS \ny = 'x /2; <<EOS '",
        "x = 1\n# EOS \n",
    ],
)
def test_well_meant_ruby_is_not_refused(code: str) -> None:
    assert refusal(code) is None


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("\nx = 4\nx /2/", 3),
        ("[1].each do |x|\n  y %w[a]\n  x %w[b]\nend", 3),
        ("def foo(x, y)\n  x ?a\nend", 2),
        ("def foo x\n  x /a/\nend", 2),
        ("begin\nrescue => x\n  x /a/\nend", 3),
        ("for x in y\n  x /a/\nend", 2),
        ("x, y = 1, 2\ny /a/", 2),
        ("(x, y), z = a\ny /a/", 2),
        ("*x = a\nx /a/", 2),
        ("x += 1\nx /a/", 2),
        ("->(x) { x /a/ }", 1),
        ("-> x { x /a/ }", 1),
        ("-> x do\n x /a/\nend", 2),
        ("case a\nin { x: }\n  x /a/\nend", 3),
        ("case a\nin [x, *]\n  x /a/\nend", 3),
        ("case a\nin x if b\n  x /a/\nend", 3),
        ("a => x\nx /a/", 2),
        ("/(?<x>a)/ =~ b\nx /a/", 2),
        ("foo { |a; x| x /a/ }", 1),
        ("foo { _1 /a/ }", 1),
        ("foo { it /a/ }", 1),
        ("\u00e9t\u00e9 = 1\n\u00e9t\u00e9 /a/", 2),
        ("\n\nx = 1\nx <<A\nA", 4),
        ("\nx<<A\nA", 2),
        ("@x <<A\nA", 1),
        ("x../y/\n1", 1),
        ("return/y/\n1", 1),
        ("puts <<A\nA \nA", 2),
        ("puts <<A\n  x\n  A\t\r\nA", 3),
        ("x \\\n<<A\nA", 2),
        ("x\n__END__ \n", 2),
        ("x\ny __END__\n", 2),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_line(code: str, line: int) -> None:
    assert refusal(code) == f"line {line}: this can be read in two ways"


@pytest.mark.parametrize("end", ["__END__", "__END__\n", "__END__\r\n", "__END__\nx", "x\n__END__\ny"])
def test_a_program_may_end_before_its_file(end: str) -> None:
    assert refusal(end) is None


@pytest.mark.parametrize(
    ("comment", "encoding"),
    [
        ("# encoding: shift_jis", "shift_jis"),
        ("# -*- coding: EUC-JP -*-", "EUC-JP"),
        ("#coding=latin1", "latin1"),
        ("#!/usr/bin/ruby\n# vim: fileencoding=cp932", "cp932"),
        ("  # Encoding : utf-16le", "utf-16le"),
    ],
)
def test_another_encoding_is_named(comment: str, encoding: str) -> None:
    assert refusal(f"{comment}\nx\n") == f"in another encoding than UTF-8: {encoding}"
    assert refusal(f"x\ny\n{comment}\n") is None


@given(
    st.lists(
        st.sampled_from(["x", " ", "/", "%(", ")", "?", "<<A", "\n", "A", "=", "'", '"', "\\", ".", "@"])
    )
)
def test_any_text_is_read_or_refused(parts: list[str]) -> None:
    said = refusal("".join(parts))
    assert said is None or said.startswith(("line ", "not Ruby: line "))
