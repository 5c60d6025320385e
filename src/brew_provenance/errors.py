"""What can go wrong with the checking itself, as one tree; outcomes of a check are values instead.

ProvenanceError                       1  a bug of ours, when raised as itself
├── BuildSideError                    6  recording, signing or publishing failed
└── UsageError                        2  what was asked for cannot be done
    ├── InputError                       a file given by the user cannot be used
    ├── PolicyError                      a policy cannot be used
    ├── TrustError                       a trusted root cannot be used
    ├── KitError                         a kit cannot be used
    └── NothingMatchedError              what was asked for names nothing
"""

from __future__ import annotations

from typing import ClassVar


class ProvenanceError(Exception):
    """The root of the tree: names the thing, the cause, and the next step."""

    exit_code: ClassVar[int] = 1

    def __init__(self, thing: str, cause: str, next_step: str) -> None:
        super().__init__(f"{thing}: {cause}")
        self.thing = thing
        """The file, option or name that the error is about."""
        self.cause = cause
        """What is wrong with it."""
        self.next_step = next_step
        """What a person does about it."""


class BuildSideError(ProvenanceError):
    """A bottle could not be recorded, or its attestation not be signed or published."""

    exit_code = 6


class UsageError(ProvenanceError):
    """What was asked for cannot be done as it was asked."""

    exit_code = 2


class InputError(UsageError):
    """A file given by the user is missing, unreadable or not what it should be."""


class PolicyError(UsageError):
    """A policy is missing, unreadable or says nothing that can be enforced."""


class TrustError(UsageError):
    """A trusted root is missing, unreadable or has nothing to verify with."""


class KitError(UsageError):
    """A kit is missing, unreadable or of a version that is not known."""


class NothingMatchedError(UsageError):
    """What was asked for names nothing: an unknown formula, a tag without a bottle."""
