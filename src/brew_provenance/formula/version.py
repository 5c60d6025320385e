"""The version that brew finds where a formula states none: in its stable URL, or in its git tag.

What is looked at, by which rules and in which order, is brew's: `Version.detect` in `version.rb`,
`version/parser.rb`, and `Pathname#stem` in `extend/pathname.rb`. Whoever writes a tap chooses the
text, so its length is bounded, and no pattern tries the same run of numbers from each of its digits.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

MAX_LENGTH: Final = 2048
"""The longest URL or tag, in characters, that is looked at; those of real formulae stay below 200."""

# Ruby refuses these, Python would let them be.
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What `BottleFileName` reads in no version. Brew refuses spaces and slashes too (`validate_attributes!`).
_NOT_IN_FILE_NAMES = re.compile(r"[\s/\\]")

_DOWNLOAD = "/download"
_SOURCEFORGE = re.compile(r"(?:sourceforge|sf)\.net/")
# Nothing but signs and digits after some dot: what follows it is no extension.
_NO_EXTENSION = re.compile(r"\.[^A-Za-z.]*[^A-Za-z]\Z")
_LONG_EXTENSIONS = (
    re.compile(r"\.[a-z0-9_]+\.bottle\.(?:\d+\.)?tar\.gz\Z"),
    re.compile(r"\.(?:tar|cpio|pax)\.(?:gz|bz2|lz|xz|zst|Z)\Z"),
)
# `1.2` and `1.2-src` end in a version, not in the extensions `.2` and `.2-src`.
_ENDS_IN_VERSION = re.compile(r"\b\d+\.\d[^.]*(?<!\.7z)\Z")

_NUMBERS = r"\d+(?:\.\d+)*"
_DOTTED = r"\d+(?:\.\d+)+"
_TWO_OR_THREE = r"\d+(?:\.\d+){1,2}"
_CONTENT = r"[._-](?i:bin|dist|stable|src|sources?|final|full)"
_PRERELEASE = r"[._-]?(?i:alpha|beta|pre|rc)\.?\d{0,2}"
# Not in the midst of numbers: whatever matches there matches from their beginning too, and is found
# there first; trying each digit would take quadratic time.
_BEGIN = r"(?<!\d)(?<!\d\.)"


class _Rule(NamedTuple):
    """A rule: the version is the first group of the first match."""

    pattern: re.Pattern[str]

    in_stem: bool
    """Whether it is sought in the last part of the path, without its extension; else in all of the text."""

    underscored: bool = False
    """Whether underscores stand for the version's dots."""


def _in_stem(pattern: str, *, underscored: bool = False) -> _Rule:
    return _Rule(re.compile(pattern), in_stem=True, underscored=underscored)


def _anywhere(pattern: str) -> _Rule:
    return _Rule(re.compile(pattern), in_stem=False)


# In brew's order: the first that finds something decides.
_RULES: Final = (
    # A date: wordlist-2021-03-05.zip
    _in_stem(r"(\d{4}-\d{2}-\d{2})"),
    # GitHub's archives of a tag: github.com/owner/repo/tarball/repo-2.0.1
    _anywhere(r"github\.com/.+/(?:zip|tar)ball/(?:v|\w+-)?((?:\d+[._-])+\d*)\Z"),
    # A tag of GitHub releases, whatever the file in it: github.com/owner/repo/releases/download/v2.0/x
    _anywhere(rf"github\.com/.+/releases/download/(?:[rvV]_?)?({_DOTTED})/"),
    # Erlang's older releases: otp_src_R16B02
    _anywhere(r"[_-]([Rr]\d+[AaBb]\d*(?:-\d+)?)"),
    # Underscores for dots: name_2_14_1
    _in_stem(r"(?<!\d)(?<!\d_)((?:\d+_)+\d+)\Z", underscored=True),
    # A patch level or candidate after a dash: name-2.0.1-3, name_2.0-p17-src
    _in_stem(rf"[_-]({_DOTTED}-(?:p|P|rc|RC)?\d+)(?:{_CONTENT})?\Z"),
    # The same where the version comes first: v2.0-20230101
    _in_stem(rf"\Av?({_DOTTED}(?:-{_NUMBERS})+)"),
    # No extension: example.org/name-2.0, example.org/name/tar.gz/v2.0
    _anywhere(rf"[-v]({_NUMBERS})\Z"),
    # Whole numbers with a dash: name-100-2
    _in_stem(r"-(\d+-\d+)"),
    # The commonest: name-2.0.1
    _in_stem(rf"-({_NUMBERS})\Z"),
    # A release after the release: name-2.0.post1 (brew takes any character before the word)
    _in_stem(rf"-({_NUMBERS}.post\d+)\Z"),
    # A letter or a candidate without a dash: name-2.0b, name-2.0rc1
    _in_stem(rf"-({_NUMBERS}(?:[abc]|rc|RC)\d*)\Z"),
    # A pre-release after a dash: name-2.0-beta2
    _in_stem(rf"-({_NUMBERS}-(?:alpha|beta|rc)\d*)\Z"),
    # For Windows: name-2.0-win64
    _in_stem(rf"-({_TWO_OR_THREE})-w(?:in)?(?:32|64)\Z"),
    # OCaml's packages, where their plus is written %2B: name.2.0+opam
    _in_stem(rf"\.({_TWO_OR_THREE})\+opam\Z"),
    # An architecture: name-2.0-1.i686, name_2.0_x64 (brew's x64_32 ends in what rules above find)
    _in_stem(rf"[_-]({_TWO_OR_THREE}(?:-\d+)?)[._-](?:i[36]86|x86|x64)\Z"),
    # A pre-release: v2.0.0-beta1, 2.0.rc.3-suffix
    _in_stem(rf"{_BEGIN}({_DOTTED}{_PRERELEASE})"),
    # Numbers at the end, with nothing before them: name2.0
    _in_stem(rf"{_BEGIN}({_NUMBERS})\Z"),
    # What is in the archive: name-2.0-src
    _in_stem(rf"[-vV]({_DOTTED}[abc]?){_CONTENT}\Z"),
    # Between dashes: name-2.0-complete
    _in_stem(rf"-({_DOTTED})-"),
    # Debian's sources: name_2.0.orig
    _in_stem(rf"_({_NUMBERS}[abc]?)\.orig\Z"),
    # From a digit after a dash to the next dash: name-2.0s, name-v2.0~git
    _in_stem(r"-v?(\d[^-]+)"),
    # The same of underscores: name_2.0_macos
    _in_stem(r"_v?(\d[^_]+)"),
    # A folder: example.org/name/v_2.0/name.jar
    _anywhere(r"/(?:[rvV]_?)?(\d+\.\d+(?:\.\d+){0,2})"),
    # namesrc.v9c
    _in_stem(r"\.v(\d+[a-z]?)"),
    # Dotted numbers wherever they are: example.org/get/name-2.0.1.zip/from/mirror
    _anywhere(rf"{_BEGIN}({_DOTTED}(?:{_PRERELEASE})?)"),
)


def detect_version(url: str, *, tag: str | None = None) -> str | None:
    """Return the version that brew finds in a stable URL, or in the git tag where there is one.

    None where its rules find none, where brew cannot decode the text, and where no file name could
    hold what is found. Nor is anything sought in more than MAX_LENGTH characters, or where control
    characters or anything beyond ASCII turn up: Ruby's patterns and Python's part ways there.
    """
    text = _decode(url if tag is None else tag)
    if text is None:
        return None
    stem = _stem(text)
    for rule in _RULES:
        found = rule.pattern.search(stem if rule.in_stem else text)
        if found is not None:
            version = found[1].replace("_", ".") if rule.underscored else found[1]
            return None if _NOT_IN_FILE_NAMES.search(version) else version
    return None


def _decode(text: str) -> str | None:
    """Undo percent-encoding all over the text, and pluses for spaces, as brew does before it looks."""
    if len(text) > MAX_LENGTH or _STRAY_PERCENT.search(text):
        return None
    decoded = unquote_plus(text)
    return decoded if decoded.isascii() and decoded.isprintable() else None


def _stem(text: str) -> str:
    """Return the last part of the path, without what brew takes for its extension."""
    file = text.removesuffix(_DOWNLOAD)
    if file != text and _SOURCEFORGE.search(file):
        return _without_extension(_last_part(file))
    name = _last_part(text)
    return name if _NO_EXTENSION.search(text) else _without_extension(name)


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _without_extension(name: str) -> str:
    for pattern in _LONG_EXTENSIONS:
        if found := pattern.search(name):
            return name[: found.start()] or name
    if _ENDS_IN_VERSION.search(name):
        return name
    stem = name.rpartition(".")[0]
    # Dots at the very beginning begin no extension (Ruby's `File.extname`).
    return stem if stem.strip(".") else name
