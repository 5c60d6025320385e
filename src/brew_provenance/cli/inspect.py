"""`brew-provenance inspect`: what a file of bundles says, without a verdict."""

from __future__ import annotations

from pathlib import Path

import click

from brew_provenance.appraise import examine
from brew_provenance.cli import options
from brew_provenance.reports import json as json_report
from brew_provenance.reports import text as text_report
from brew_provenance.verify import Verifier


@click.command("inspect")
@click.argument("bundle", type=options.PATH)
@options.trusted_root
@options.no_public_good
@options.offline
@options.output_format("text", "json")
@options.output
def command(  # noqa: PLR0913 - one parameter an option
    bundle: Path,
    trusted_root_file: Path | None,
    output_format: str,
    output_file: Path | None,
    *,
    no_public_good: bool,
    offline: bool,
) -> None:
    """Show what the bundles in BUNDLE say, and who says it. This is no verdict.

    Cryptography is done, and the predicate is held against the certificate; who may sign, and for which
    artifact, is not judged. Exits with 0 when the file could be read, whatever stands in it.
    """
    candidates = options.read_candidates(bundle)
    roots = options.load_roots(trusted_root_file, offline=offline, no_public_good=no_public_good)
    verifier = Verifier(roots)
    assessments = [examine(candidate, verifier) for candidate in candidates]
    render = json_report.render_examination if output_format == "json" else text_report.render_examination
    options.write_result(render(assessments), output_file)
