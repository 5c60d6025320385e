"""The bottle block: what it says, and the formula without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.bottleblock import (
    DEFAULT_ROOT_URL,
    MAX_BOTTLES,
    describe_difference,
    without_bottle_block,
)
from brew_provenance.formula.ruby import read_formula

FORMULAE = sorted((Path(__file__).resolve().parents[3] / "formula-fixtures").glob("Formula/*/*.rb"))

A, B = "a" * 64, "b" * 64
# How brew takes the block out of the formula that it packs (`formula_installer.rb`).
BREW = re.compile(rb"  bottle do.+?end\n\n?", re.DOTALL)

BLOCK = f'  bottle do\n    sha256 cellar: :any, sonoma: "{A}"\n  end\n'
OTHER_BLOCK = f'  bottle do\n    rebuild 1\n    sha256 all: "{B}"\n  end\n'


def read(block: str, before: str = "") -> Formula:
    source = f'class Foo < Formula\n  url "https://example.org/foo-1.2.tar.gz"\n  {before}\n  {block}\nend\n'
    return read_formula(source.encode(), tap="octo/tap", name="foo")


def sole(lines: str) -> tuple[str, str, int | None]:
    """Return tag, digest and line of the one bottle of a block with these lines, the first being line 5."""
    (bottle,) = read(f"bottle do\n{lines}\n  end").bottles
    return bottle.tag, bottle.digest.value, bottle.line


@pytest.mark.parametrize(
    "line",
    [
        f'sha256 sonoma: "{A}"',
        f"sha256 sonoma: '{A}'",
        f'sha256(sonoma: "{A}")',
        f'sha256 "sonoma": "{A}"',
        f'sha256 :sonoma => "{A}"',
        f'sha256 "{A}" => :sonoma',
        f'sha256 sonoma: "{A.upper()}"',
        f'sha256 cellar: :any, sonoma: "{A}"',
        f'sha256 cellar: "/opt/homebrew/Cellar", sonoma: "{A}"',
        f'sha256 :cellar => :any, :sonoma => "{A}"',
        f'sha256 sonoma: "{A}", cellar: :any',
        f'sha256 sonoma: "{A}" # the first',
        f'# the first\n# sha256 sonoma: "{B}"\nsha256 sonoma: "{A}"',
        f'cellar :any\n    prefix "/opt"\n    sha256 sonoma: "{A}"',
        f'sha256 cellar: :any,\n           sonoma: "{A}"',
    ],
)
def test_a_bottle_is_read(line: str) -> None:
    tag, digest, at = sole(line)
    assert (tag, digest) == ("sonoma", A)
    source = f"\n\n\n\n{line}".lower().split("\n")
    assert at is not None
    assert A in source[at - 1]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("sha256", "line 5: not one tag and its digest, written out"),
        (f'sha256 "{A}"', "line 5: not one tag and its digest, written out"),
        (f'sha256 :any, sonoma: "{A}"', "line 5: not one tag and its digest, written out"),
        (f'sha256 sonoma: "{A}", **more', "line 5: not one tag and its digest, written out"),
        (f'sha256 sonoma: "{A}", tahoe: "{B}"', "line 5: not one tag and its digest, written out"),
        (f'sha256 "{A}" => :sonoma, "{B}" => :tahoe', "line 5: not one tag and its digest, written out"),
        ("sha256 cellar: :any", "line 5: not one tag and its digest, written out"),
        ("sha256 sonoma: digest", "line 5: not one tag and its digest, written out"),
        ('sha256 sonoma: ENV["SHA"]', "line 5: not one tag and its digest, written out"),
        (f'sha256 sonoma: "{A}".downcase', "line 5: not one tag and its digest, written out"),
        ('sha256 sonoma: "#{x}"', "line 5: not one tag and its digest, written out"),
        ("sha256 sonoma: DIGEST", "line 5: not one tag and its digest, written out"),
        ("sha256 sonoma: :any", "line 5: not one tag and its digest, written out"),
        (f'sha256 sonoma: "{A[1:]}"', "is not a sha256 digest"),
        (f'sha256 sonoma: "{A}a"', "is not a sha256 digest"),
        (f'sha256 sonoma: "{A[1:]}g"', "is not a sha256 digest"),
        (f'sha256 sonoma: "{A}\n"', "is not a sha256 digest"),
        (f'sha256 Sonoma: "{A}"', "is not a bottle tag"),
        (f'sha256 "so noma": "{A}"', "is not a bottle tag"),
        (f'sha256 "{A}" => "sonoma"', "is not a bottle tag"),
        (f'sha256 arm64_all: "{A}"', "is not a bottle tag"),
        (f'sha256 sonoma: "{A}"\nsha256 sonoma: "{B}"', "line 6: a second bottle for sonoma"),
        (f'sha256 arm_tahoe: "{A}"\nsha256 aarch64_tahoe: "{B}"', "line 6: a second bottle for arm64_tahoe"),
        (f'sha256 sonoma: "{A}" if OS.mac?', "line 5: something to run in the bottle block"),
        (f'if x\nsha256 sonoma: "{A}"\nend', "line 5: something to run in the bottle block"),
        ('eval "x"', "line 5: something to run in the bottle block"),
        ("x = 1", "line 5: something to run in the bottle block"),
        ("rebuild", "line 5: rebuild is not one plain number"),
        ("rebuild x", "line 5: rebuild is not one plain number"),
        ("rebuild 01", "line 5: rebuild is not one plain number"),
        ("rebuild 1\nrebuild 2", "line 4: two rebuilds in the bottle block"),
    ],
)
def test_a_block_that_is_not_written_out_is_refused(line: str, why: str) -> None:
    with pytest.raises(FormulaError) as raised:
        sole(line)
    assert why in str(raised.value)


def test_a_block_has_an_end() -> None:
    def tags(count: int) -> str:
        return "\n".join(f'sha256 tag_{number}: "{A}"' for number in range(count))

    assert len(read(f"bottle do\n{tags(MAX_BOTTLES)}\nend").bottles) == MAX_BOTTLES
    with pytest.raises(FormulaError, match=f"line 4: more than the limit of {MAX_BOTTLES} bottles"):
        read(f"bottle do\n{tags(MAX_BOTTLES + 1)}\nend")


@pytest.mark.parametrize(
    "block",
    [
        f'bottle {{ sha256 sonoma: "{A}" }}',
        f'bottle do sha256 sonoma: "{A}" end',
        f'bottle() do\n sha256 sonoma: "{A}"\n end',
        f'bottle do # here\n sha256 sonoma: "{A}"\n end # there',
    ],
)
def test_the_block_may_be_written_in_any_form(block: str) -> None:
    assert [bottle.tag for bottle in read(block).bottles] == ["sonoma"]


@pytest.mark.parametrize("block", ["bottle do\n  end", "bottle do\n    # none\n  end", "bottle {}"])
def test_an_empty_block_has_no_bottles(block: str) -> None:
    formula = read(block)
    assert (formula.bottles, formula.root_url, formula.gaps) == ((), DEFAULT_ROOT_URL, ())


@pytest.mark.parametrize(
    ("written", "root_url", "url"),
    [
        ("", DEFAULT_ROOT_URL, f"{DEFAULT_ROOT_URL}/foo/blobs/sha256:{A}"),
        (
            'root_url "https://ghcr.io/v2/Octo/homebrew-Tap/more"',
            "https://ghcr.io/v2/octo/Tap",
            f"https://ghcr.io/v2/octo/Tap/foo/blobs/sha256:{A}",
        ),
        (
            'root_url "docker://ghcr.io/octo/tap"',
            "https://ghcr.io/v2/octo/tap",
            f"https://ghcr.io/v2/octo/tap/foo/blobs/sha256:{A}",
        ),
        (
            'root_url "https://bucket.s3.amazonaws.com/bottles", using: S3Strategy',
            "https://bucket.s3.amazonaws.com/bottles",
            "https://bucket.s3.amazonaws.com/bottles/foo-1.2.sonoma.bottle.tar.gz",
        ),
        (
            'root_url "https://github.com/octo/tap/releases/download/foo-#{V}"',
            "https://github.com/octo/tap/releases/download/foo-1.2",
            "https://github.com/octo/tap/releases/download/foo-1.2/foo-1.2.sonoma.bottle.tar.gz",
        ),
        ("root_url V", "1.2", "1.2/foo-1.2.sonoma.bottle.tar.gz"),
        (
            'root_url "https://example.org/"',
            "https://example.org/",
            "https://example.org//foo-1.2.sonoma.bottle.tar.gz",
        ),
        (
            'root_url "https://example.org/a"\n    root_url "https://example.org/b"',
            "https://example.org/b",
            "https://example.org/b/foo-1.2.sonoma.bottle.tar.gz",
        ),
    ],
)
def test_bottles_are_where_brew_looks_for_them(written: str, root_url: str, url: str) -> None:
    formula = read(f'bottle do\n    {written}\n    sha256 sonoma: "{A}"\n  end', 'V = "1.2"')
    assert formula.root_url == root_url
    assert [bottle.url for bottle in formula.bottles] == [url]


# The formula's methods mean nothing in the block, whose own methods are all that it knows.
@pytest.mark.parametrize(
    "written", ["x", '"https://example.org/#{x}"', '"https://example.org/#{version}"', ""]
)
def test_bottles_at_a_computed_root_url_have_no_name_that_is_known(written: str) -> None:
    formula = read(f'bottle do\n    root_url {written}\n    sha256 sonoma: "{A}"\n  end', 'version "1.2"')
    assert (formula.version, formula.root_url, formula.bottles) == ("1.2", None, ())
    assert [(one.tag, one.digest.value, one.line) for one in formula.unnamed] == [("sonoma", A, 6)]
    assert formula.gaps == ("line 4: the root URL of its bottles is computed",)
    formula = read(f'bottle do\n    root_url {written}\n    sha256 sonoma: "{A}"\n  end', "depends_on x")
    assert formula.gaps[0] == "line 4: the root URL of its bottles is computed"
    formula = read(f'bottle do\n    root_url {written}\n    sha256 sonoma: "{A}"\n  end', "version x")
    assert formula.gaps[:2] == (
        "line 3: the version is computed",
        "line 4: the root URL of its bottles is computed",
    )


# Without the block


def formula(block: str, after: str = '\n  depends_on "bar"\n', before: str = '  license "MIT"\n\n') -> bytes:
    return f"class Foo < Formula\n{before}{block}{after}end\n".encode()


@pytest.mark.parametrize(
    ("source", "rest"),
    [
        (formula(BLOCK), formula("", after='  depends_on "bar"\n')),
        (formula(BLOCK, after='  depends_on "bar"\n'), formula("", after='  depends_on "bar"\n')),
        (formula(BLOCK, after='\n\n\n  depends_on "bar"\n'), formula("\n\n", after='  depends_on "bar"\n')),
        (formula(BLOCK, after=""), formula("", after="")),
        (formula("", after=""), formula("", after="")),
        (formula("  stable do\n  " + BLOCK, after="  end\n"), formula("  stable do\n  ", after="  end\n")),
        (
            formula(f"# bottle do\n# end\n{BLOCK}"),
            formula("# bottle do\n# end\n", after='  depends_on "bar"\n'),
        ),
    ],
)
def test_the_block_is_taken_out_as_brew_does_it(source: bytes, rest: bytes) -> None:
    assert without_bottle_block(source) == rest
    if b"# bottle do" not in source:
        assert BREW.sub(b"", source) == rest
    assert without_bottle_block(rest) == rest


@pytest.mark.parametrize("path", FORMULAE, ids=lambda path: path.stem)
def test_every_formula_is_packed_as_brew_packs_it(path: Path) -> None:
    source = path.read_bytes()
    rest = without_bottle_block(source)
    assert rest == BREW.sub(b"", source)
    assert b"bottle do" not in rest
    assert describe_difference(source, rest) is None


def test_a_block_that_brew_would_not_find_goes_too() -> None:
    # With other blocks in it the formula is the same; brew would leave each of them where it is.
    for block in (f'bottle {{ sha256 all: "{A}" }}\n', f'\tbottle do\n\tsha256 all: "{A}"\n\tend\n'):
        source = formula(block)
        assert b"bottle" not in without_bottle_block(source)
        assert describe_difference(source, source.replace(A.encode(), B.encode())) is None


def test_windows_line_ends_go_with_the_block() -> None:
    source = formula(BLOCK).replace(b"\n", b"\r\n")
    assert without_bottle_block(source) == without_bottle_block(formula(BLOCK)).replace(b"\n", b"\r\n")


def test_a_byte_order_mark_stays() -> None:
    mark = b"\xef\xbb\xbf"
    assert without_bottle_block(mark + formula(BLOCK)) == mark + without_bottle_block(formula(BLOCK))


@pytest.mark.parametrize(
    "decoy",
    [
        f"  # {BLOCK.strip()}\n".replace("\n    ", "\n  # ").replace("\n  end", "\n  # end"),
        f"=begin\n{BLOCK}=end\n",
        f"  caveats <<~EOS\n{BLOCK}  EOS\n",
        f"  desc '{BLOCK}'\n",
        "  pour_bottle? do\n    reason 'x'\n  end\n",
        "  bottle :unneeded\n",
    ],
)
def test_what_only_looks_like_a_block_stays(decoy: str) -> None:
    assert without_bottle_block(formula(decoy)) == formula(decoy)
    both = without_bottle_block(formula(decoy + BLOCK))
    assert both == formula(decoy, after='  depends_on "bar"\n')


def test_a_block_after_the_end_of_the_program_stays() -> None:
    source = formula("") + f"__END__\n{BLOCK}".encode()
    assert without_bottle_block(source) == source


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (formula("  )\n"), "not Ruby: line"),
        (formula(BLOCK + BLOCK), "2 bottle blocks: lines 4, 7"),
        (formula(BLOCK) + formula(BLOCK), "2 bottle blocks: lines 4, 13"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_not_compared(source: bytes, why: str) -> None:
    good = formula("")
    for call in (
        lambda: without_bottle_block(source),
        lambda: describe_difference(source, good),
        lambda: describe_difference(good, source),
    ):
        with pytest.raises(FormulaError, match=re.escape(why)):
            call()


# Differences


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (formula(BLOCK), formula(BLOCK)),
        (formula(BLOCK), formula(OTHER_BLOCK)),
        (formula(BLOCK), BREW.sub(b"", formula(OTHER_BLOCK))),
        (formula(BLOCK, after=""), formula(OTHER_BLOCK, after="")),
        # How brew writes the first block of a formula: after a blank line of its own.
        (formula("\n" + BLOCK, before='  license "MIT"\n'), formula("", before='  license "MIT"\n')),
        (
            formula("\n" + BLOCK, before='  license "MIT"\n', after=""),
            formula("", before='  license "MIT"\n', after=""),
        ),
        (
            formula("\n" + BLOCK, before='  license "MIT"\n', after='  depends_on "bar"\n'),
            formula("", before='  license "MIT"\n', after='  depends_on "bar"\n'),
        ),
    ],
)
def test_formulae_that_differ_in_their_blocks_alone_do_not_differ(ours: bytes, theirs: bytes) -> None:
    assert describe_difference(ours, theirs) is None
    assert describe_difference(theirs, ours) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        (
            formula("", before='  license "MIT"\n'),
            formula("", before='  license "GPL"\n'),
            "line 2 'license \"MIT\"\\n', in the other line 2 'license \"GPL\"\\n'",
        ),
        (
            formula(BLOCK, after='  depends_on "bar"\n'),
            formula("", after='  depends_on "baz"\n'),
            "line 7 'depends_on \"bar\"\\n', in the other line 4 'depends_on \"baz\"\\n'",
        ),
        (
            formula(BLOCK),
            formula(OTHER_BLOCK, after='\n  depends_on "baz"\n'),
            "line 8 'depends_on \"bar\"\\n', in the other line 9 'depends_on \"baz\"\\n'",
        ),
        (
            formula("") + b"# more\n",
            formula(""),
            "line 7 '# more\\n', in the other line 7 beyond its end",
        ),
        (
            formula(""),
            formula("").replace(b"\n", b"\r\n"),
            "line 1 'class Foo < Formula\\n', in the other line 1 'class Foo < Formula\\r\\n'",
        ),
        (
            formula("  # \u00e9\x1b[1m" + "x" * 90 + "\n"),
            formula(""),
            f"line 4 '# \\xe9\\x1b[1m{'x' * 29}', in the other line 4 '\\n'",
        ),
        (
            formula("\n" + BLOCK, before=""),
            formula("", before="\n"),
            "line 7 'depends_on \"bar\"\\n', in the other line 3 '\\n'",
        ),
    ],
)
def test_the_first_line_that_differs_is_named(ours: bytes, theirs: bytes, difference: str) -> None:
    assert describe_difference(ours, theirs) == difference


LINES = st.sampled_from(["", "  desc 'x'", "  depends_on 'y'", "  # end", "  def x", "  end", "  # é"])


@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=6))
def test_a_block_between_blank_lines_makes_no_difference_anywhere(
    before: list[str], after: list[str]
) -> None:
    without = "\n".join(["class Foo < Formula", *before, "", *after, "end", ""]).encode()
    blocks = (
        "\n".join(["class Foo < Formula", *before, "", block, *after, "end", ""]).encode()
        for block in (BLOCK, OTHER_BLOCK)
    )
    one, other = blocks
    try:
        assert without_bottle_block(one) == without_bottle_block(other) == without
    except FormulaError:
        return
    assert describe_difference(one, other) is None
    assert describe_difference(without, one) is None
