"""The auditor's job: verdicts on every bottle of a tap, kept in a ledger and compared over time."""
