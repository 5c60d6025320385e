"""What a signing certificate claims, and what looks like a claim and is none."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import ARC, make_certificate, make_claims, to_der

from brew_provenance.certificate import EXTENSIONS, ClaimError, Claims, Encoding, Extension, WorkflowIdentity

LONG = "https://github.com/octo/homebrew-tap/.github/workflows/" + "a" * 300 + ".yml@refs/heads/main"


def der(text: str, tag: int = 0x0C) -> bytes:
    """Return a DER string with the shortest length form."""
    raw = text.encode()
    if len(raw) < 0x80:
        return bytes([tag, len(raw)]) + raw
    length = len(raw).to_bytes((len(raw).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + raw


def claims_of(number: int, raw: bytes) -> Claims:
    return Claims.from_certificate(make_certificate({f"{ARC}.{number}": raw}))


def test_the_table_has_all_extensions_up_to_24_but_the_other_name() -> None:
    numbers = [extension.number for extension in EXTENSIONS]
    assert numbers == [number for number in range(1, 25) if number != 7]


def test_the_first_six_are_raw_and_the_rest_is_der() -> None:
    raw = {extension.number for extension in EXTENSIONS if extension.encoding is Encoding.RAW}
    assert raw == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("text", ["value \u00e9", "x" * 127, "x" * 128, "x" * 255, "x" * 256, LONG])
@pytest.mark.parametrize("extension", EXTENSIONS, ids=lambda extension: extension.field)
def test_every_claim_is_read_whatever_its_length(extension: Extension, text: str) -> None:
    raw = text.encode() if extension.encoding is Encoding.RAW else der(text)
    claims = claims_of(extension.number, raw)
    assert claims.value(extension.field) == text
    others = [known.field for known in EXTENSIONS if known is not extension]
    assert [claims.value(field) for field in others] == [None] * len(others)


def test_all_claims_of_a_certificate_are_read_together() -> None:
    raw = {
        f"{ARC}.{row.number}": row.field.encode() if row.encoding is Encoding.RAW else der(row.field)
        for row in EXTENSIONS
    }
    claims = Claims.from_certificate(make_certificate(raw))
    assert all(claims.value(row.field) == row.field for row in EXTENSIONS)
    assert claims.unknown == ()


@given(st.text(min_size=1, max_size=400))
def test_a_raw_and_a_der_claim_give_their_text_back(text: str) -> None:
    raw = {f"{ARC}.1": text.encode(), f"{ARC}.8": der(text)}
    claims = Claims.from_certificate(make_certificate(raw))
    assert (claims.issuer_v1, claims.issuer) == (text, text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"https://github.com",
        b"\x0c\x02x",
        b"\x0c\x01xy",
        b"\x0c\x01x\x00",
        b"\x0c\x81\x01x",
        b"\x0c\x82\x00\x01x",
        b"\x0c\x80x\x00\x00",
        b"\x0c\x01\xff",
        b"\x0c\x02\xc0\x80",
        der("x", tag=0x13),
        der("x", tag=0x16),
        der("x", tag=0x04),
        der("x", tag=0x2C),
        b"\x30\x03\x0c\x01x",
    ],
)
def test_a_claim_that_is_not_a_der_utf8_string_is_refused(raw: bytes) -> None:
    with pytest.raises(ClaimError, match=r"\.8 \(Issuer \(V2\)\) is malformed"):
        claims_of(8, raw)


def test_a_raw_claim_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ClaimError, match=r"\.5 .* is malformed"):
        claims_of(5, b"octo/\xff")


@pytest.mark.parametrize("oid", [f"{ARC}.7", f"{ARC}.25", f"{ARC}.99", f"{ARC}.8.1", f"{ARC}.0"])
def test_an_extension_of_fulcios_that_is_not_known_is_tolerated_and_named(oid: str) -> None:
    claims = Claims.from_certificate(make_certificate({oid: b"\xff", f"{ARC}.8": der("issuer")}))
    assert claims.unknown == (oid,)
    assert claims.issuer == "issuer"


@pytest.mark.parametrize("oid", ["1.3.6.1.4.1.57264.10", "1.3.6.1.4.1.57264.2.8", "1.2.3.4"])
def test_an_extension_of_somebody_else_is_passed_over(oid: str) -> None:
    assert Claims.from_certificate(make_certificate({oid: b"\xff"})) == Claims(None, None)


def test_a_claim_that_stands_twice_is_refused() -> None:
    raw = to_der(make_certificate({f"{ARC}.8": der("one"), f"{ARC}.25": der("two")}))
    # Object identifiers of equal length: the last arc is the last byte.
    eight, other = (x509.ObjectIdentifier(f"{ARC}.{number}") for number in (8, 25))
    twice = raw.replace(encoded(other), encoded(eight))
    assert twice != raw
    with pytest.raises(ClaimError):
        Claims.from_certificate(x509.load_der_x509_certificate(twice))


def encoded(oid: x509.ObjectIdentifier) -> bytes:
    last = int(oid.dotted_string.rpartition(".")[2])
    return bytes.fromhex("060a2b0601040183bf3001") + bytes([last])


@pytest.mark.parametrize(
    ("name", "identity", "kind"),
    [
        (x509.UniformResourceIdentifier("https://github.com/o/r"), "https://github.com/o/r", "uri"),
        (x509.RFC822Name("someone@example.org"), "someone@example.org", "email"),
        (x509.OtherName(x509.ObjectIdentifier(f"{ARC}.7"), der("user!org")), "user!org", "othername"),
        (x509.OtherName(x509.ObjectIdentifier(f"{ARC}.7"), der(LONG)), LONG, "othername"),
    ],
)
def test_the_one_identity_is_read_with_its_type(name: x509.GeneralName, identity: str, kind: str) -> None:
    claims = Claims.from_certificate(make_certificate(names=[name]))
    assert (claims.identity, claims.identity_type) == (identity, kind)
    assert claims.value("identity") == identity


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "found 0"),
        ([x509.UniformResourceIdentifier("https://a.example")] * 2, "found 2"),
        ([x509.UniformResourceIdentifier("https://a.example"), x509.RFC822Name("a@b.example")], "found 2"),
        ([x509.DNSName("github.com")], "a DNSName is not an identity"),
        ([x509.OtherName(x509.ObjectIdentifier("1.2.3"), der("x"))], "a OtherName is not an identity"),
        ([x509.OtherName(x509.ObjectIdentifier(f"{ARC}.7"), b"\x05\x00")], "otherName identity is malformed"),
    ],
)
def test_anything_but_one_identity_of_fulcios_is_refused(names: list[x509.GeneralName], message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        Claims.from_certificate(make_certificate(names=names))


@pytest.mark.parametrize("field", ["unknown", "value"])
def test_only_claims_can_be_asked_for(field: str) -> None:
    with pytest.raises(KeyError):
        make_claims().value(field)


def test_claims_that_mean_the_same_and_agree_are_no_disagreement() -> None:
    assert make_claims().disagreements() == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("issuer_v1", "issuer"),
        ("github_workflow_trigger", "build_trigger"),
        ("github_workflow_sha", "source_repository_digest"),
        ("github_workflow_repository", "source_repository_uri"),
        ("github_workflow_ref", "source_repository_ref"),
        ("identity", "build_signer_uri"),
    ],
)
def test_twins_that_differ_disagree_and_a_silent_twin_does_not(left: str, right: str) -> None:
    assert make_claims(**{left: "another"}).disagreements() == [(left, right)]
    assert make_claims(**{right: "another"}).disagreements() == [(left, right)]
    assert make_claims(**{left: None}).disagreements() == []
    assert make_claims(**{right: None}).disagreements() == []


IDENTITY = "https://github.com/octo/homebrew-tap/.github/workflows/publish.yml@refs/heads/main"


@pytest.mark.parametrize(
    "uri",
    [
        IDENTITY,
        "https://github.com/Homebrew/homebrew-core/.github/workflows/dispatch-build-bottle.yml@refs/heads/master",
        "https://github.com/o/r.x_y-z/.github/workflows/a b (1)+c.yaml@refs/tags/v1.0",
        "https://github.com/o/r/.github/workflows/a.yml@refs/pull/12/merge",
        "https://github.com/o/r/.github/workflows/a.yml@" + "a" * 40,
        "https://github.com/o/r/.github/workflows/a.yml@" + "b" * 64,
    ],
)
def test_a_workflow_identity_gives_itself_back(uri: str) -> None:
    assert str(WorkflowIdentity.parse(uri)) == uri


def test_a_workflow_identity_is_taken_apart() -> None:
    assert WorkflowIdentity.parse(IDENTITY) == WorkflowIdentity(
        "octo", "homebrew-tap", ".github/workflows/publish.yml", "refs/heads/main"
    )
    assert WorkflowIdentity.parse(IDENTITY).repository_uri == "https://github.com/octo/homebrew-tap"


def test_a_file_whose_name_goes_on_is_another_workflow() -> None:
    name = IDENTITY.replace("publish.yml", "publish.yml.attacker.yml")
    assert WorkflowIdentity.parse(name).path == ".github/workflows/publish.yml.attacker.yml"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        IDENTITY.replace("https", "http"),
        IDENTITY.replace("https", "HTTPS"),
        IDENTITY.replace("github.com", "github.com.evil.example"),
        IDENTITY.replace("github.com", "evil-github.com"),
        IDENTITY.replace("github.com", "githubXcom"),
        IDENTITY.replace("github.com", "GitHub.com"),
        IDENTITY.replace("github.com", "github.com."),
        IDENTITY.replace("github.com", "github.com:443"),
        IDENTITY.replace("github.com", "user@github.com"),
        IDENTITY.replace("github.com", "github.com@evil.example"),
        IDENTITY.replace("github.com", "g\u0456thub.com"),
        IDENTITY.replace("github.com", "github\u3002com"),
        IDENTITY.replace("octo/", "octo%2f"),
        IDENTITY.replace("octo/", "oct\u043e/"),
        IDENTITY.replace("octo/", "\u212aocto/"),
        IDENTITY.replace("octo/", "octo//"),
        IDENTITY.replace("octo/", "evil/octo/"),
        IDENTITY.replace("octo/", "../octo/"),
        IDENTITY.replace("/.github/", "/.github%2f"),
        IDENTITY.replace("/.github/", "/x/.github/"),
        IDENTITY.replace("/.github/", "/.GitHub/"),
        IDENTITY.replace("workflows/", "workflows/sub/"),
        IDENTITY.replace("workflows/", "workflows/../"),
        IDENTITY.replace("workflows/", "actions/"),
        IDENTITY.replace("publish.yml", "publish.yml%00.yml"),
        IDENTITY.replace("publish.yml", "publish.yml?x.yml"),
        IDENTITY.replace("publish.yml", "publish.yml#x.yml"),
        IDENTITY.replace("publish.yml", "publish.YML"),
        IDENTITY.replace("publish.yml", "publish.txt"),
        IDENTITY.replace("publish.yml", "p\u00fcblish.yml"),
        IDENTITY.replace("publish.yml", "publish.yml\n"),
        IDENTITY.replace("publish.yml", ".yml@refs/heads/x/publish.txt"),
        IDENTITY.replace("@refs/heads/main", ""),
        IDENTITY.replace("@refs/heads/main", "@"),
        IDENTITY.replace("@refs/heads/main", "@main"),
        IDENTITY.replace("@refs/heads/main", "@refs/heads/"),
        IDENTITY.replace("@refs/heads/main", "@refs/notes/main"),
        IDENTITY.replace("@refs/heads/main", "@REFS/heads/main"),
        IDENTITY.replace("@refs/heads/main", "@" + "a" * 39),
        IDENTITY.replace("@refs/heads/main", "@" + "A" * 40),
        IDENTITY + "\n",
        IDENTITY + " ",
        IDENTITY + "\u00e9",
        " " + IDENTITY,
        "x" + IDENTITY,
    ],
)
def test_what_only_looks_like_a_workflow_is_none(uri: str) -> None:
    with pytest.raises(ClaimError, match="is not a GitHub Actions workflow identity"):
        WorkflowIdentity.parse(uri)
