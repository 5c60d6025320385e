"""The catalogue of well-formed but wrong evidence.

Each forgery has one fault; all the rest of it is right, so that a verifier that skips the one
check accepts it. The names and the codes are stable.
"""

from __future__ import annotations

from brew_provenance.sandbox.forgeries.bottlebuilds import BOTTLE_BUILDS
from brew_provenance.sandbox.forgeries.certificates import CERTIFICATES
from brew_provenance.sandbox.forgeries.excesses import EXCESSES, OVERLONG
from brew_provenance.sandbox.forgeries.identities import IDENTITIES
from brew_provenance.sandbox.forgeries.logs import LOGS
from brew_provenance.sandbox.forgeries.lookalikes import LOOKALIKES
from brew_provenance.sandbox.forgeries.older import OLDER
from brew_provenance.sandbox.forgeries.parsing import PARSING
from brew_provenance.sandbox.forgeries.policies import POLICIES
from brew_provenance.sandbox.forgeries.predicates import PREDICATES
from brew_provenance.sandbox.forgeries.signatures import SIGNATURES
from brew_provenance.sandbox.forgeries.splices import SPLICES
from brew_provenance.sandbox.forgeries.statements import STATEMENTS
from brew_provenance.sandbox.forgeries.timestamped import TIMESTAMPED
from brew_provenance.sandbox.scenario import Forgery, Scenario

__all__ = ["FORGERIES", "LIES", "TAMPERINGS", "Forgery", "Scenario"]

TAMPERINGS: tuple[Forgery, ...] = (
    *PARSING,
    *CERTIFICATES,
    *LOGS,
    *SIGNATURES,
    *OLDER,
    *TIMESTAMPED,
    *SPLICES,
    *OVERLONG,
)
"""What is no valid Sigstore bundle: any Sigstore client refuses it."""

LIES: tuple[Forgery, ...] = (
    *IDENTITIES,
    *POLICIES,
    *STATEMENTS,
    *PREDICATES,
    *BOTTLE_BUILDS,
    *LOOKALIKES,
    *EXCESSES,
)
"""What is a valid Sigstore bundle: only the policy and the statement tell that it is wrong."""

FORGERIES: tuple[Forgery, ...] = (*TAMPERINGS, *LIES)
"""All forgeries, in the order of the steps that find them."""
