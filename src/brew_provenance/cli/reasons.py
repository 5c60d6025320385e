"""`brew-provenance reasons`: the table of reason codes, as documentation."""

from __future__ import annotations

import click

from brew_provenance.cli import options
from brew_provenance.findings import REASONS, Step


@click.command("reasons")
def command() -> None:
    """Print the table of reason codes, as Markdown."""
    lines = []
    for step in Step:
        rows = [reason for reason in REASONS.values() if reason.step is step]
        if rows:
            where = f"Step {step.value}" if step.is_of_verdict else "Build side"
            lines += ["", f"## {where}: {step.title}", "", "| code | effect | means | next |"]
            lines.append("| --- | --- | --- | --- |")
            lines += [f"| `{row.code}` | {row.severity.value} | {row.means} | {row.advice} |" for row in rows]
    options.write_result("\n".join(["# Reason codes", *lines]) + "\n", None)
