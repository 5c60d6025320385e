"""Which version brew finds in a stable URL or a git tag."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.formula.version import MAX_LENGTH, detect_version

GITHUB = "https://github.com"
SOURCEFORGE = "https://downloads.sourceforge.net/project"
DEBIAN = "https://deb.debian.org/debian/pool/main"
OTHER = "https://example.org"

FOUND_IN_URLS = [
    # A date.
    ("https://www.obdev.at/downloads/vusb/bootloadHID.2012-12-08.tar.gz", "2012-12-08"),
    (f"{GITHUB}/sofusA/qobine/archive/refs/tags/v2026-07-31.tar.gz", "2026-07-31"),
    # GitHub's archives of a tag.
    (f"{GITHUB}/owner/repo/tarball/v2.0.1", "2.0.1"),
    (f"{GITHUB}/owner/repo/zipball/repo-3.4_05", "3.4_05"),
    (f"{GITHUB}/owner/repo/tarball/2.0-7", "2.0-7"),
    # A tag of GitHub releases.
    (f"{GITHUB}/martanne/abduco/releases/download/v0.6/abduco-0.6.tar.gz", "0.6"),
    (f"{GITHUB}/owner/repo/releases/download/r_1.5/other-9.9.tar.gz", "1.5"),
    # Erlang's.
    ("https://erlang.org/download/otp_src_R16B03-1.tar.gz", "R16B03-1"),
    # Underscores for dots.
    (f"{GITHUB}/pgul/binkd/archive/refs/tags/binkd-1_0_4.tar.gz", "1.0.4"),
    (f"{GITHUB}/postgresql-interfaces/psqlodbc/archive/refs/tags/REL-18_00_0002.tar.gz", "18.00.0002"),
    # A patch level after a dash.
    (f"{SOURCEFORGE}/cunit/CUnit/2.1-3/CUnit-2.1-3.tar.bz2", "2.1-3"),
    (f"{OTHER}/name_2.4-p11-src.zip", "2.4-p11"),
    (f"{OTHER}/name-2.4-RC2.tar.xz", "2.4-RC2"),
    # The same where the version comes first.
    ("https://codeberg.org/smxi/inxi/archive/3.3.41-1.tar.gz", "3.3.41-1"),
    (f"{GITHUB}/tsduck/tsduck/archive/refs/tags/v3.44-4676.tar.gz", "3.44-4676"),
    (f"{OTHER}/2.0-1-2.5.tar.gz", "2.0-1-2.5"),
    # No extension.
    ("https://beyondgrep.com/ack-v3.10.0", "3.10.0"),
    (f"{OTHER}/name-7", "7"),
    # Whole numbers with a dash.
    ("https://micans.org/apparix/src/apparix-11-062.tar.gz", "11-062"),
    (f"{GITHUB}/hramrach/lm-sensors/archive/refs/tags/V3-6-2.tar.gz", "6-2"),
    # The commonest.
    ("https://ftpmirror.gnu.org/gnu/a2ps/a2ps-4.15.8.tar.gz", "4.15.8"),
    ("https://www.apache.org/dyn/closer.lua?path=hadoop/common/hadoop-3.5.0/hadoop-3.5.0.tar.gz", "3.5.0"),
    (f"{OTHER}/name-42.tgz", "42"),
    # A release after the release.
    ("https://files.pythonhosted.org/packages/cb/e4/legit-1.2.0.post0.tar.gz", "1.2.0.post0"),
    # A letter, or a candidate without a dash.
    ("https://git.causal.agency/catgirl/snapshot/catgirl-2.2a.tar.gz", "2.2a"),
    (f"{SOURCEFORGE}/aa-project/aa-lib/1.4rc5/aalib-1.4rc5.tar.gz", "1.4rc5"),
    # A pre-release after a dash.
    (f"{OTHER}/sources/librasterlite2-1.1.0-beta1.tar.gz", "1.1.0-beta1"),
    # For Windows.
    (f"{OTHER}/name-2.3.4-win32.zip", "2.3.4"),
    (f"{OTHER}/name-2.3-w64.zip", "2.3"),
    # OCaml's packages: the plus is a space unless it is encoded, and then another rule finds the same.
    (f"{OTHER}/archives/name.2.3.4%2Bopam.tar.gz", "2.3.4"),
    (f"{OTHER}/archives/name.2.3.4+opam.tar.gz", "2.3.4"),
    # An architecture.
    (f"{OTHER}/name-2.3.4-5.i686.rpm", "2.3.4-5"),
    (f"{OTHER}/name_2.3_x64.deb", "2.3"),
    # A pre-release.
    (f"{GITHUB}/avahi/avahi/archive/refs/tags/v0.9-rc5.tar.gz", "0.9-rc5"),
    ("https://pdw.ex-parrot.com/iftop/download/iftop-1.0pre4.tar.gz", "1.0pre4"),
    (f"{OTHER}/name-2.0.1-BETA.123-more.tar.gz", "2.0.1-BETA.12"),
    # Numbers at the end, with nothing before them.
    (f"{GITHUB}/KhronosGroup/glslang/archive/refs/tags/16.5.0.tar.gz", "16.5.0"),
    (f"{OTHER}/name.1..2.3.zip", "2.3"),
    # What is in the archive.
    (f"{SOURCEFORGE}/gplcver/gplcver/2.12a/gplcver-2.12a.src.tar.bz2", "2.12a"),
    ("https://mirrors.dotsrc.org/osdn/unidic/58338/unidic-mecab-2.1.2_src.zip", "2.1.2"),
    (f"{OTHER}/nameV2.1-Sources.tgz", "2.1"),
    # Between dashes.
    ("https://services.gradle.org/distributions/gradle-8.14.5-all.zip", "8.14.5"),
    # Debian's.
    (f"{DEBIAN}/libl/liblockfile/liblockfile_1.17.orig.tar.gz", "1.17"),
    (f"{OTHER}/name_7c.orig.tar.xz", "7c"),
    # From a digit to the next dash, or underscore.
    (f"{GITHUB}/apenwarr/redo/archive/refs/tags/redo-0.42d.tar.gz", "0.42d"),
    (f"{SOURCEFORGE}/mlton/mlton/20241230/mlton-20241230.src.tgz", "20241230.src"),
    (f"{DEBIAN}/j/jxrlib/jxrlib_1.2~git20170615.f752187.orig.tar.xz", "1.2~git20170615.f752187.orig"),
    (f"{GITHUB}/NationalSecurityAgency/ghidra/archive/refs/tags/Ghidra_12.1.3_build.tar.gz", "12.1.3"),
    # A folder.
    ("https://raw.githubusercontent.com/dart-lang/sdk/refs/tags/3.13.1/README.md", "3.13.1"),
    (f"{OTHER}/V_1.2.3.4.5/name.jar", "1.2.3.4"),
    # After a dot and a v.
    (f"{OTHER}/namesrc.v9c.tar.gz", "9c"),
    # Wherever dotted numbers are.
    ("https://go.dev/dl/go1.27.0.src.tar.gz", "1.27.0"),
    (f"{OTHER}/get/name2.5.6-alpha3.zip/from/mirror", "2.5.6-alpha3"),
]

STEMS = [
    # Two extensions are one for archives and for bottles, and for nothing else.
    (f"{OTHER}/name-2.0b.cpio.lz", "2.0b"),
    (f"{OTHER}/name-2.0b.pax.Z", "2.0b"),
    (f"{OTHER}/name-2.0b.sonoma.bottle.tar.gz", "2.0b"),
    (f"{OTHER}/name-2.0b.sonoma.bottle.3.tar.gz", "2.0b"),
    (f"{OTHER}/name-2.0b.sig.gz", "2.0b.sig"),
    # What follows a version's dot is no extension, but for 7z.
    (f"{OTHER}/name-2.0s", "2.0s"),
    (f"{OTHER}/name-2.7z", "2"),
    (f"{OTHER}/name-2.0.1.7z", "2.0.1"),
    (f"{OTHER}/name2.zip", "2"),
    # A name of which no extension would leave anything is not shortened.
    (f"{OTHER}/.9_4.bottle.7.tar.gz", "4.bottle.7.tar.gz"),
    (f"{OTHER}/..v8", "8"),
    (f"{OTHER}/name-2b.", "2b"),
    # Slashes at the end are not part of the path.
    (f"{OTHER}/name-2.0b/", "2.0b"),
    # SourceForge's links name the file before the last part.
    ("https://sourceforge.net/projects/name/files/name_2.0b-src.tar.gz/download", "2.0b-src"),
    ("https://sf.net/name_2.0b.zip//download", "2.0b"),
    (f"{OTHER}/name_2.0b.zip/download", "2.0"),
    ("https://sf.net/download", None),
]

FOUND_IN_TAGS = [
    ("v0.15.2", "0.15.2"),
    ("2026-08-17.4", "2026-08-17"),
    ("release/3.19.1", "3.19.1"),
    ("v2.0.0-beta1", "2.0.0-beta1"),
    ("name_2_5", "2.5"),
    ("v1.2.3%2D4", "1.2.3-4"),
    ("v1.2+build.7", "7"),
    ("RELEASE.2025-10-15T17-29-55Z", None),
    ("stable", None),
    ("", None),
]

NOTHING = [
    "",
    "/",
    "...",
    f"{OTHER}/name.tar.gz",
    "https://svn.code.sf.net/p/acme-crossass/code-0/trunk",
    f"{GITHUB}/CleverRaven/Cataclysm-DDA/archive/refs/tags/0.I.tar.gz",
    # Brew refuses these.
    f"{OTHER}/100%/name-2.0.zip",
    f"{OTHER}/%zz/name-2.0.zip",
    f"{OTHER}/%f/name-2.0.zip",
    f"{OTHER}/%FF/name-2.0.zip",
    f"{OTHER}/%ED%A0%80/name-2.0.zip",
    f"{OTHER}/%00/name-2.0.zip",
    # Found, but in no file's name.
    "https://ftp.ncbi.nlm.nih.gov/blast/executables/blast+/2.17.0/ncbi-blast-2.17.0+-src.tar.gz",
    f"{OTHER}/name-2.0s%20b.zip",
    f"{OTHER}/name-2.0s\\b.zip",
    f"{OTHER}/name-2.0s%5Cb.zip",
    # A line ends where Ruby's patterns end, and not Python's.
    f"{OTHER}/name-2.0%0A",
    f"{OTHER}/name-2.0\nother",
    f"{OTHER}/name-2.0%7F.zip",
    f"{OTHER}/name-2.0%1B[2J.zip",
    # What a digit or a word is, and which letters are equal in upper case, is Ruby's to say.
    f"{OTHER}/%C3%A9/name-2.0.zip",
    f"{OTHER}/é/name-2.0.zip",
    f"{OTHER}/name-\u0662.0.zip",
    f"{OTHER}/name-2.0-\u017frc.zip",
    f"{OTHER}/\ud800/name-2.0.zip",
]

WORDS = (
    "github.com/ /tarball/ /zipball/ /releases/download/ sourceforge.net/ sf.net/ /download "
    ".tar.gz .zip .7z .orig .bottle -win64 _x64 %2Bopam -src .FULL beta rc pre .post1 R15B "
    "2017-04-14 v r a 1 22 1.2 1_2 - _ . / \\ + %20 %2F %0A % ~ ? é \u0662"
)
PIECES = st.sampled_from([*WORDS.split(), " ", "\n", "\x00"])


@pytest.mark.parametrize(("url", "version"), FOUND_IN_URLS)
def test_a_url_has_the_version_that_brew_finds_there(url: str, version: str) -> None:
    assert detect_version(url) == version


@pytest.mark.parametrize(("url", "version"), STEMS)
def test_an_extension_is_left_out_as_brew_leaves_it_out(url: str, version: str | None) -> None:
    assert detect_version(url) == version


@pytest.mark.parametrize(("tag", "version"), FOUND_IN_TAGS)
def test_a_tag_stands_in_for_the_url(tag: str, version: str | None) -> None:
    assert detect_version(f"{OTHER}/name-99.9.git", tag=tag) == version


@pytest.mark.parametrize("url", NOTHING)
def test_a_url_without_a_version_that_is_sure_has_none(url: str) -> None:
    assert detect_version(url) is None


def test_a_text_is_not_looked_at_beyond_its_bound() -> None:
    ending = "/name-2.0.tar.gz"
    longest = OTHER.ljust(MAX_LENGTH - len(ending), "x") + ending
    assert detect_version(longest) == "2.0"
    assert detect_version(f"x{longest}") is None
    assert detect_version(OTHER, tag=f"x{longest}") is None
    assert detect_version(f"x{longest}", tag="v2.1") == "2.1"


@given(
    st.from_regex(r"\A[a-z]{1,8}([_-][a-z]{1,8})?\Z"),
    st.from_regex(r"\A[0-9]{1,4}(\.[0-9]{1,4}){0,3}\Z"),
    st.sampled_from(["", ".tar.gz", ".tar.zst", ".tgz", ".zip", ".7z", ".jar"]),
)
def test_a_name_and_dotted_numbers_give_the_numbers(name: str, version: str, extension: str) -> None:
    assert detect_version(f"{OTHER}/{name}-{version}{extension}") == version


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=12).map("".join))
def test_a_version_is_a_part_of_the_text_that_a_file_name_can_hold(url: str, tag: str) -> None:
    for text, found in ((url, detect_version(url)), (tag, detect_version(url, tag=tag))):
        if found is not None:
            assert re.fullmatch(r"[!-.0-\[\]-~]+", found)
            assert found.replace("_", ".") in unquote_plus(text).replace("_", ".")


@given(st.text(st.characters(exclude_categories=()), max_size=60), st.booleans())
def test_any_text_at_all_is_answered(text: str, as_tag: bool) -> None:
    found = detect_version(OTHER, tag=text) if as_tag else detect_version(text)
    assert found is None or found.isascii()


@given(
    st.lists(st.tuples(st.lists(PIECES, min_size=1, max_size=3).map("".join), st.floats(0, 1)), max_size=3),
    st.lists(PIECES, max_size=2).map("".join),
)
def test_a_text_made_to_be_tried_over_and_over_is_answered(pumped: list[tuple[str, float]], end: str) -> None:
    text = "".join(unit * int(MAX_LENGTH * share / len(unit)) for unit, share in pumped)
    text = text[: MAX_LENGTH - len(end)] + end
    found = detect_version(text)
    assert found is None or len(found) <= len(text)
