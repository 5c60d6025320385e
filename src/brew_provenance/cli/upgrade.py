"""`brew-provenance upgrade`."""

from brew_provenance.cli.pouring import make_command
from brew_provenance.install import Verb

command = make_command(Verb.UPGRADE)
