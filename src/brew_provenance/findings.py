"""Findings, and the one table of reason codes: what can be found, at which step, and what to do.

The codes are part of every machine-readable output and never change their meaning. Their
documentation is made from this table: `brew-provenance reasons` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Severity(Enum):
    """What a finding does to the attestation that it is about."""

    REJECT = "reject"
    """The evidence is wrong."""

    UNRESOLVED = "unresolved"
    """The evidence could not be judged."""

    NOT_APPLICABLE = "not-applicable"
    """The evidence speaks of something else: never a failure, never enough."""

    NOTE = "note"
    """True and worth saying; changes nothing."""


class Step(Enum):
    """The nine steps from bundle to verdict, in their order; and what comes before a bundle is made."""

    BYTES = 1
    RESOLVE = 2
    PARSE = 3
    CRYPTOGRAPHY = 4
    SIGNER = 5
    STATEMENT = 6
    PREDICATE = 7
    FORMULA = 8
    VERDICT = 9
    RECORD = 10
    """On the build side: a build record held against the bottle and against the Actions API."""

    @property
    def title(self) -> str:
        """What the step is called in front of people."""
        return _STEP_TITLES[self]

    @property
    def is_of_verdict(self) -> bool:
        """Whether it is one of the nine."""
        return self is not Step.RECORD


_STEP_TITLES = {
    Step.BYTES: "bytes of the artifact",
    Step.RESOLVE: "attestations found",
    Step.PARSE: "parsing the bundle",
    Step.CRYPTOGRAPHY: "cryptography",
    Step.SIGNER: "signer and policy",
    Step.STATEMENT: "statement and subject",
    Step.PREDICATE: "predicate against certificate",
    Step.FORMULA: "formula",
    Step.VERDICT: "verdict",
    Step.RECORD: "build record, before signing",
}


@dataclass(frozen=True)
class Reason:
    """One row of the table of reason codes."""

    code: str
    """Stable name, part of every machine-readable output."""

    step: Step
    """The step that finds it."""

    severity: Severity
    """What it does to the attestation."""

    means: str
    """One sentence for the documentation: what was found."""

    advice: str
    """What a person does next."""


_SUSPECT = "Treat the bundle as altered; fetch it again from the attestation store and compare."
_FORGED = "Do not use the artifact; report the bundle to the tap that is said to have made it."
_POLICY = "If this signer is meant to be trusted, name it in a policy; otherwise do not use the artifact."
_LIES = "The signer wrote a predicate that its own certificate contradicts; do not use the artifact."
_LATER = "Nothing is known to be wrong; this version cannot judge this kind of bundle."
_BUILT = (
    "Do not use the bottle: it was built from something else than the tap's formula; report it to the tap."
)
_RETRY = "Nothing is known to be wrong; repair or fetch the input again."
_STORE = (
    "Nothing is known to be wrong with the artifact; report what the store answered, and try again later."
)
_AGAIN = "Nothing is known to be wrong; try again."
_NETWORK = "Nothing is known to be wrong; look at the network, or use --offline with a kit."
_RECORD = "Do not publish the bottle; build and record it again, and look at what ran in the build job."
_NONE = "Nothing to do: this bundle speaks of something else."


def _rows(step: Step, severity: Severity, *rows: tuple[str, str, str]) -> list[Reason]:
    return [Reason(code, step, severity, means, advice) for code, means, advice in rows]


# fmt: off
_TABLE = [
    *_rows(
        Step.BYTES,
        Severity.REJECT,
        ("artifact-digest-mismatch", "The bottle file is not the one that the formula describes.",
         "Do not use the file; delete it, and let brew download it again."),
    ),
    *_rows(
        Step.BYTES,
        Severity.UNRESOLVED,
        ("bottle-not-fetched", "The bottle could not be downloaded from anywhere that brew would get it.",
         "Look at what each server answered, and try again; what has come so far is kept."),
        ("package-version-unknown", "The package version, and so the bottle's name, cannot be known without running Ruby.",
         "Check the formula from the signed API, or through brew."),
    ),
    *_rows(
        Step.BYTES,
        Severity.NOTE,
        ("bytes-hashed", "The bottle file has the digest that the formula gives.", "Nothing."),
        ("tag-chosen", "The bottle is for another tag than this machine's.", "Nothing: it is the one that brew pours."),
        ("not-the-current-bottle", "The formula describes a newer bottle.",
         "Nothing; the file's own name is what has to be attested."),
        ("keg-digest-unsigned", "Which bottle a keg was poured from is known from its SBOM alone, which nobody signed.",
         "Reinstall it, to have brew pour what the formula describes."),
        ("keg-bottle-guessed", "Which bottle a keg was poured from is not known; the formula's present one is checked.",
         "Reinstall it, to be sure."),
    ),
    *_rows(
        Step.RESOLVE,
        Severity.UNRESOLVED,
        ("store-has-no-answer", "The store was not asked about this digest, or does not cover it.",
         "Make a kit that covers it, or ask the store itself."),
        ("store-unreadable", "The store's answer could not be read.", _RETRY),
        ("store-row-empty", "The store lists an attestation without the bundle and without a link to it.", _STORE),
        ("store-row-other-digest", "The store answered with an attestation of another artifact.", _STORE),
        ("link-expired", "The store's link to a bundle does not work, though it was asked for anew.", _STORE),
        ("repository-not-visible", "The repository whose attestations are asked for does not exist, or is private.",
         "Compare the name of the tap; for a private repository, set HOMEBREW_GITHUB_API_TOKEN."),
        ("rate-limited", "The store answers no more requests for now.",
         "Wait until the time that is named, or set HOMEBREW_GITHUB_API_TOKEN, which raises the limit."),
        ("access-denied", "The store refuses the request.", "Look at the token's rights, or go without a token."),
        ("request-refused", "The store does not accept the request.", _STORE),
        ("server-failed", "The store failed, several times.", _AGAIN),
        ("answer-unexpected", "The store's answer is not of the form that it documents.", _STORE),
        ("answer-unreadable", "The answer is damaged.", _AGAIN),
        ("answer-too-long", "The answer is longer than anything that could be meant.", _STORE),
        ("answer-timed-out", "No answer came in time.", _AGAIN),
        ("time-budget-spent", "The time allowed for the network was used up.", _AGAIN),
        ("connection-failed", "No connection could be made.", _NETWORK),
        ("connection-broken", "The connection broke.", _AGAIN),
        ("host-not-found", "The name of the host could not be resolved.", _NETWORK),
        ("tls-failed", "The host could not prove to be the one that was asked for.",
         "Something stands between this machine and the host; look at the proxy and at the clock."),
        ("redirect-refused", "The answer leads to an address that is not followed.", _STORE),
        ("url-refused", "The address is not plainly https, or leads to this very machine.", _STORE),
        ("proxy-failed", "The proxy that the environment names could not be used.",
         "Look at HTTPS_PROXY, ALL_PROXY and NO_PROXY, and try again."),
        ("header-refused", "A request was not sent: the value of a header, such as a token, is not one plain line.",
         "Set the token again, without line breaks, spaces around it or letters outside ASCII."),
        ("kit-file-altered", "A file of the kit does not have the digest that its index gives.",
         "Make the kit again, or copy it again, and compare."),
    ),
    *_rows(
        Step.PARSE,
        Severity.REJECT,
        ("bundle-media-type-unknown", "The bundle's media type is not a known Sigstore bundle version.", _SUSPECT),
        ("bundle-malformed", "The bundle does not have the shape of a Sigstore bundle.", _SUSPECT),
        ("bundle-content-missing", "The bundle holds neither a DSSE envelope nor a message signature.", _SUSPECT),
        ("bundle-content-ambiguous", "The bundle holds a DSSE envelope and a message signature at once.", _SUSPECT),
        ("verification-material-missing", "The bundle holds no verification material.", _SUSPECT),
        ("certificate-missing", "The bundle holds no signing certificate.", _SUSPECT),
        ("certificate-ambiguous", "The bundle names its signer in more than one way.", _SUSPECT),
        ("certificate-malformed", "The signing certificate is not a readable X.509 certificate.", _SUSPECT),
        ("certificate-not-leaf", "The certificate in the signer's place is not a code-signing leaf certificate.", _FORGED),
        ("log-entry-missing", "The bundle carries no log entry, and comes from an instance that logs what is signed.", _FORGED),
        ("log-entry-unexpected", "The bundle carries a log entry, and comes from an instance that keeps no log.", _SUSPECT),
        ("log-entries-many", "The bundle carries more than one transparency log entry.", _SUSPECT),
        ("log-entry-version-unknown", "The log entry is of a kind or version that no Sigstore log writes.", _SUSPECT),
        ("log-proof-missing", "The log entry carries no inclusion proof, which its bundle version requires.", _FORGED),
        ("log-checkpoint-missing", "The inclusion proof carries no checkpoint.", _FORGED),
        ("time-missing", "The bundle carries neither an inclusion promise nor a signed timestamp.", _FORGED),
        ("timestamps-too-many", "The bundle carries more signed timestamps than a verifier should read.", _SUSPECT),
        ("timestamp-malformed", "A signed timestamp is not a readable RFC 3161 response.", _SUSPECT),
        ("envelope-signatures-many", "The envelope does not carry exactly one signature.", _SUSPECT),
        ("payload-type-unexpected", "The envelope's payload is not of type application/vnd.in-toto+json.", _FORGED),
        ("payload-malformed", "The envelope's payload is not JSON.", _FORGED),
    ),
    *_rows(
        Step.PARSE,
        Severity.UNRESOLVED,
        ("bundle-unreadable", "The bundle is not JSON within the stated limits.", _RETRY),
        ("unsupported-dsse-002-log-entry", "The log entry is of kind dsse/0.0.2.", _LATER),
        ("unsupported-managed-key", "The bundle is signed with a managed key, not with a certificate.", _LATER),
    ),
    *_rows(
        Step.PARSE,
        Severity.NOT_APPLICABLE,
        ("predicate-type-other", "The statement's predicate type is not the one asked for.", _NONE),
    ),
    *_rows(
        Step.CRYPTOGRAPHY,
        Severity.REJECT,
        ("certificate-untrusted", "The signing certificate does not chain to a certificate authority of the trusted root.",
         "Do not use the artifact; if it was signed under another Sigstore instance, name its root with --trusted-root."),
        ("certificate-time-invalid", "The signing certificate was not valid at the time of signing.", _FORGED),
        ("certificate-usage-invalid", "The signing certificate is not meant for signing code.", _FORGED),
        ("certificate-key-unsupported", "The signing certificate's key is not an elliptic-curve key.", _FORGED),
        ("sct-missing", "The signing certificate carries no signed certificate timestamp.", _FORGED),
        ("sct-many", "The signing certificate carries more than one signed certificate timestamp.", _FORGED),
        ("sct-invalid", "The signed certificate timestamp was not made by a certificate transparency log of the trusted root.", _FORGED),
        ("timestamp-authority-unknown", "The bundle carries a signed timestamp, and the trusted root knows no timestamp authority.", _FORGED),
        ("timestamp-duplicate", "The bundle carries the same signed timestamp twice.", _SUSPECT),
        ("timestamp-unverified", "No signed timestamp of the bundle verifies, and there is no other source of time.", _FORGED),
        ("log-proof-size", "The inclusion proof has another length than its index and tree size require.", _FORGED),
        ("log-proof-invalid", "The inclusion proof does not lead to its own root hash.", _FORGED),
        ("log-checkpoint-malformed", "The checkpoint is not a readable signed note.", _FORGED),
        ("log-checkpoint-log-unknown", "The checkpoint is not signed by the log that the entry names.", _FORGED),
        ("log-checkpoint-invalid", "The checkpoint's signature was not made by a log of the trusted root.", _FORGED),
        ("log-checkpoint-root-mismatch", "The checkpoint is about another tree than the inclusion proof.", _FORGED),
        ("log-promise-invalid", "The inclusion promise was not made by a log of the trusted root for this entry.", _FORGED),
        ("log-entry-malformed", "The log entry's body cannot be read as what it says it is.", _FORGED),
        ("log-entry-kind-mismatch", "The log entry is of a kind that does not record what the bundle holds.", _FORGED),
        ("log-entry-mismatch", "The log entry is about another payload, signature or certificate.", _FORGED),
        ("log-entry-payload-mismatch", "The log entry is about another payload.", _FORGED),
        ("log-entry-signature-mismatch", "The log entry is about another signature or certificate.", _FORGED),
        ("envelope-signature-invalid", "The envelope's signature does not verify with the certificate's key.", _FORGED),
        ("message-digest-mismatch", "The message signature is for another artifact.", _FORGED),
        ("message-signature-invalid", "The message signature does not verify with the certificate's key.", _FORGED),
        ("verification-failed", "Sigstore verification failed for a reason that has no code of its own.", _FORGED),
        ("verification-crashed", "Sigstore verification ended in an unexpected error on this bundle.", _SUSPECT),
    ),
    *_rows(
        Step.CRYPTOGRAPHY,
        Severity.UNRESOLVED,
        ("unsupported-trusted-root", "No trusted root says how a time of signing is to be established.",
         "Give a trusted root with transparency logs, or one without any that has timestamp authorities."),
    ),
    *_rows(
        Step.CRYPTOGRAPHY,
        Severity.NOTE,
        ("log-promise-only", "That the transparency log holds the entry: the log promised it, and no proof came with the bundle.",
         "Nothing; it is how bundles were made before they carried proofs."),
        ("not-in-a-log", "That the signing is on public record: the trusted root is of an instance that keeps no log.",
         "Nothing; it is how attestations of private repositories are made."),
    ),
    *_rows(
        Step.CRYPTOGRAPHY,
        Severity.NOT_APPLICABLE,
        ("not-an-attestation", "The bundle holds a signature over the artifact and not an attestation.", _NONE),
    ),
    *_rows(
        Step.SIGNER,
        Severity.REJECT,
        ("certificate-claims-malformed", "A claim in the certificate is not encoded as Fulcio encodes it.", _FORGED),
        ("certificate-claims-disagree", "Two claims of the certificate that mean the same differ.", _FORGED),
        ("certificate-claim-missing", "The certificate lacks a claim that the policy needs.", _POLICY),
        ("signer-identity-malformed", "The signer is not a GitHub Actions workflow identity.", _POLICY),
        ("issuer-not-allowed", "The certificate's OIDC issuer is not the one that the policy names.", _POLICY),
        ("signer-repository-not-allowed", "The signing workflow lives in a repository that the policy does not allow.", _POLICY),
        ("signer-workflow-not-allowed", "The signing workflow is not one that the policy allows.", _POLICY),
        ("signer-ref-not-allowed", "The signing workflow ran from a ref that the policy does not allow.", _POLICY),
        ("source-repository-not-allowed", "The source repository is not the one that the policy names.", _POLICY),
        ("source-repository-id-not-allowed", "The source repository bears the right name but another numeric id.", _POLICY),
        ("source-owner-id-not-allowed", "The source repository's owner has another numeric id than the policy pins.", _POLICY),
        ("source-ref-not-allowed", "The source ref is not one that the policy allows.", _POLICY),
        ("runner-environment-not-allowed", "The signing job ran on a kind of runner that the policy does not allow.", _POLICY),
        ("signed-too-late", "The signer is trusted only until a time before the signing.", _POLICY),
        ("signed-too-early", "The signer is trusted only since a time after the signing.", _POLICY),
    ),
    *_rows(
        Step.STATEMENT,
        Severity.REJECT,
        ("statement-malformed", "The payload does not have the shape of an in-toto Statement.", _FORGED),
        ("statement-type-unexpected", "The statement is not an in-toto Statement v1.", _FORGED),
        ("statement-without-subject", "The statement names no subject.", _FORGED),
        ("statement-subjects-too-many", "The statement names more subjects than GitHub attests at once.", _FORGED),
        ("subject-digest-malformed", "A subject's digest is not lower-case hexadecimal of the algorithm's length.", _FORGED),
        ("subject-digests-disagree", "A subject's digests belong to different artifacts.", _FORGED),
        ("subject-ambiguous", "The statement gives one name to two different digests.", _FORGED),
        ("subject-digest-mismatch", "No subject of the statement has the artifact's digest.",
         "The bundle is for another artifact; get the one for this artifact."),
        ("subject-name-mismatch", "The subject with the artifact's digest bears another name.", _FORGED),
        ("subject-split", "The artifact's name and its digest stand in two different subjects.", _FORGED),
        ("subject-name-not-a-bottle", "The subject with the bottle's digest is not named as a bottle.", _FORGED),
        ("subject-other-formula", "The subject with the bottle's digest is named after another formula.", _FORGED),
        ("subject-other-version", "The subject with the bottle's digest is named after another version.", _FORGED),
        ("subject-other-rebuild", "The subject with the bottle's digest is named after another rebuild.", _FORGED),
        ("subject-other-tag", "The subject with the bottle's digest is named after another bottle tag.", _FORGED),
        ("subject-other-url", "The notarised subject is for another bottle URL.", _FORGED),
    ),
    *_rows(
        Step.PREDICATE,
        Severity.REJECT,
        ("predicate-malformed", "The predicate does not have the shape of SLSA provenance v1.", _FORGED),
        ("build-type-unknown", "The predicate's build type is not one whose meaning is known.", _POLICY),
        ("external-parameters-unknown", "The predicate carries external parameters that its build type does not define.", _FORGED),
        ("predicate-repository-mismatch", "The predicate names another repository than the certificate.", _LIES),
        ("predicate-ref-mismatch", "The predicate names another ref than the certificate.", _LIES),
        ("predicate-workflow-mismatch", "The predicate names another workflow than the certificate.", _LIES),
        ("predicate-repository-id-mismatch", "The predicate names another repository id than the certificate.", _LIES),
        ("predicate-owner-id-mismatch", "The predicate names another owner id than the certificate.", _LIES),
        ("predicate-runner-mismatch", "The predicate names another runner environment than the certificate.", _LIES),
        ("predicate-event-mismatch", "The predicate names another event than the certificate.", _LIES),
        ("predicate-source-mismatch", "The predicate's first dependency is not the certificate's repository at its ref.", _LIES),
        ("predicate-commit-mismatch", "The predicate names another commit than the certificate.", _LIES),
        ("predicate-builder-mismatch", "The predicate names another builder than the certificate.", _LIES),
        ("predicate-invocation-mismatch", "The predicate names another run than the certificate.", _LIES),
        ("build-subjects-many", "A statement of one bottle's build names several subjects.", _FORGED),
        ("parameters-other-tap", "The predicate is of the build of another tap's bottle.", _FORGED),
        ("parameters-other-formula", "The predicate is of the build of another formula than the subject.", _FORGED),
        ("parameters-other-tag", "The predicate is of the build of a bottle for another tag than the subject.", _FORGED),
        ("parameters-other-rebuild", "The predicate is of the build of another rebuild than the subject.", _FORGED),
        ("identical-bottles-mismatch", "The bottles that are said to be identical cannot have become this one.", _FORGED),
        ("formula-path-unusable", "The predicate's formula file is not a path inside the tap, or is not called as the formula.", _FORGED),
        ("runner-other-system", "The predicate's runner has another operating system than the bottle is for.", _FORGED),
        ("runner-labels-contradict", "The predicate's runner has the label of self-hosted ones, and is said to be none.", _FORGED),
        ("builder-malformed", "The predicate's builder is not a workflow of GitHub Actions at a ref.", _FORGED),
        ("build-times-contradict", "The build is said to have ended before it began, or after it was attested.", _FORGED),
        ("build-type-not-allowed", "The policy does not allow predicates of this build type.", _POLICY),
        ("builder-not-allowed", "The bottle was built by a workflow that the policy does not allow.", _POLICY),
        ("builder-environment-not-allowed", "The bottle was built on a kind of runner that the policy does not allow.", _POLICY),
    ),
    *_rows(
        Step.RESOLVE,
        Severity.NOTE,
        ("gone-from-store", "The store does not list an attestation any more that it gave before.",
         "Ask the tap why it was deleted; the attestation that this machine kept still verifies, or does not, by itself."),
        ("cache-not-written", "The local cache cannot be written.", "Make room, or repair the folder's rights."),
        ("metadata-note", "Something is worth knowing of where the formula's description came from.",
         "Run `brew update`, or compare with another source."),
        ("token-refused", "The token does not work.", "Renew the token, or unset it; none is needed for public taps."),
        ("trusted-root-note", "Something about the trusted root is worth knowing.", "Nothing, unless it was meant to be newer."),
    ),
    *_rows(
        Step.STATEMENT,
        Severity.NOTE,
        ("subject-name-not-checked", "That the artifact bears the name that is attested: no name was asked for.",
         "Give --subject-name to have it compared."),
    ),
    *_rows(
        Step.PREDICATE,
        Severity.REJECT,
        ("vsa-other-verifier", "The verification summary names another verifier than the workflow that signed it.", _FORGED),
        ("vsa-other-resource", "The verification summary is about another package version than the bottle's.", _FORGED),
        ("vsa-failed", "The verifier found that the bottle does not satisfy its policy.", "Do not use the bottle; ask the verifier what it found."),
    ),
    *_rows(
        Step.PREDICATE,
        Severity.NOT_APPLICABLE,
        ("vsa-other-signer", "The verification summary is signed by another workflow than the one that was named.", _NONE),
        ("vsa-level-missing", "The verification summary does not reach the level that is asked for.", _NONE),
    ),
    *_rows(
        Step.PREDICATE,
        Severity.NOTE,
        ("vsa-accepted", "A verifier that was named says so; what it saw was not looked at again.", "Nothing; the verifier is trusted in place of the evidence."),
        ("builder-bound", "The workflow, the run and the runner that built the bottle are attested.", "Nothing."),
        ("predicate-not-checked", "What the predicate says: predicates of this type are not compared with the certificate.",
         "Read the predicate as what the signer says, not as what is proved."),
    ),
    *_rows(
        Step.FORMULA,
        Severity.REJECT,
        ("formula-text-mismatch", "The formula that is packed into the bottle is not that of the commit it is said to be built from.", _BUILT),
        ("formula-file-mismatch", "The formula commit that is attested does not hold the formula file that is attested.", _BUILT),
        ("formula-version-mismatch", "The formula that the bottle was built from is of another version than the tap's.", _BUILT),
        ("formula-source-mismatch", "The formula that the bottle was built from builds another source than the tap's.", _BUILT),
        ("formula-unreadable", "The formula that is packed into the bottle cannot be read.", _BUILT),
        ("bottle-not-a-tarball", "The bottle is not a gzipped tar archive.", _BUILT),
        ("bottle-outside-keg", "The bottle holds something outside of its keg.", _BUILT),
        ("bottle-formula-missing", "The bottle holds no formula.", _BUILT),
        ("bottle-formula-ambiguous", "The bottle holds its formula twice, or where two readers would look for it differently.", _BUILT),
        ("bottle-formula-not-a-file", "The formula in the bottle is a link, or something else than a file.", _BUILT),
    ),
    *_rows(
        Step.FORMULA,
        Severity.UNRESOLVED,
        ("bottle-too-large", "The bottle is larger than anything that is looked into.", _LATER),
    ),
    *_rows(
        Step.FORMULA,
        Severity.NOTE,
        ("formula-content-matches", "The formula that is packed into the bottle is the tap's, the bottle block apart.", "Nothing."),
        ("formula-edited-since", "The tap's formula was edited after the bottle was built; version and source are the same.",
         "Nothing; the commit that was built is compared where it is attested."),
        ("formula-compared-by-fields", "The formula that is packed into the bottle has the tap's version and source.",
         "Nothing; the whole file is compared where the tap's repository is given."),
        ("formula-bound", "The formula commit that the bottle was built from is attested, and describes this bottle.", "Nothing."),
        ("formula-commit-not-in-tap", "The formula commit that is attested is not in the tap's repository at hand; the content that it pins is compared.",
         "Nothing: what a pull request builds is merged as another commit. Fetch the commit to compare it as well."),
        ("formula-not-compared", "Whether the formula commit that is attested describes the bottle: nothing to compare it with is at hand.",
         "Name the formula, or give the tap's repository with --tap-dir."),
        ("notarisation-only", "How the bottle was built: the attestation says that it existed at the time of signing.",
         "Prefer a newer bottle, which has build provenance."),
        ("builder-not-bound", "Which machine built the bottle: the attestation describes the job that published it.",
         "Nothing; it is a limit of today's attestations."),
        ("formula-not-bound", "Which formula commit the bottle was built from: the attestation names none.",
         "Nothing; it is a limit of today's attestations."),
    ),
    *_rows(
        Step.RECORD,
        Severity.REJECT,
        ("record-digest-mismatch", "The build record is of other bytes than the bottle's.", _RECORD),
        ("record-other-bottle", "The build record beside a bottle is another bottle's.", _RECORD),
        ("record-json-mismatch", "The *.bottle.json that was recorded is not the one beside the bottle.", _RECORD),
        ("record-formula-mismatch", "The recorded formula is not the one that is packed into the bottle.", _RECORD),
        ("record-other-tap", "The build record is of another tap than the one that is attested.", _RECORD),
        ("record-other-remote", "The recorded tap is another repository than the one whose run built it.", _RECORD),
        ("record-other-repository", "The build record names a run of another repository.", _RECORD),
        ("record-repository-id-mismatch", "The build record names the repository by an id that is not its own.", _RECORD),
        ("record-owner-id-mismatch", "The build record names the repository's owner by an id that is not the owner's.", _RECORD),
        ("record-other-run", "The Actions API describes another run or attempt than the recorded one.", _RECORD),
        ("record-workflow-mismatch", "The recorded workflow, or its ref, is not the one that the run is of.", _RECORD),
        ("record-event-mismatch", "The recorded event is not the one that started the run.", _RECORD),
        ("record-ref-mismatch", "The recorded ref is not one that the run can be for.", _RECORD),
        ("record-head-mismatch", "The run or the job is for another commit than the recorded one.", _RECORD),
        ("record-commit-mismatch", "The formula's commit is not what the run had checked out.", _RECORD),
        ("record-job-unknown", "The run has no job that can have made the record.", _RECORD),
        ("record-job-ambiguous", "Several jobs of the run can have made the record.", "Hand over the job's number with --job-id when recording, and build again."),
        ("record-job-unfit", "The job that built the bottle did not succeed.", _RECORD),
        ("record-runner-mismatch", "The recorded runner is not the one that the job ran on.", _RECORD),
        ("record-environment-mismatch", "The runner is recorded as GitHub's, and its labels say self-hosted.", _RECORD),
        ("record-time-mismatch", "The record was made when its job did not run.", _RECORD),
    ),
]
# fmt: on

REASONS = {reason.code: reason for reason in _TABLE}
"""Every reason by its code."""

LIMITS: Final = frozenset(
    {
        "log-promise-only",
        "not-in-a-log",
        "subject-name-not-checked",
        "predicate-not-checked",
        "notarisation-only",
        "builder-not-bound",
        "formula-not-bound",
        "formula-not-compared",
    }
)
"""The notes that say what an accepted attestation does not prove: what each means completes "not proved"."""


MAX_DETAIL: Final = 2000
"""Characters of a finding's detail."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found about one attestation, or about the whole question."""

    code: str
    """A code of `REASONS`."""

    detail: str
    """What was seen here, in one sentence: the two values that differ, the field that is missing.

    What is longer than `MAX_DETAIL` characters is cut there, and says so.
    """

    def __post_init__(self) -> None:
        if self.code not in REASONS:
            raise ValueError(f"{self.code!r} is not in the table of reason codes")
        # Signers choose what is quoted here, up to the size of a bundle, and reports and ledgers keep it.
        if len(self.detail) > MAX_DETAIL:
            left_out = len(self.detail) - MAX_DETAIL
            shortened = f"{self.detail[:MAX_DETAIL]}… ({left_out:,} characters left out)"
            object.__setattr__(self, "detail", shortened)

    @property
    def reason(self) -> Reason:
        """The row of the table."""
        return REASONS[self.code]

    @property
    def is_fault(self) -> bool:
        """Whether it keeps what it is about from being accepted."""
        return self.reason.severity is not Severity.NOTE
