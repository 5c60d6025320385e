"""The publishing job's part: bottles and their records to attestations in the store.

Everything is looked at before anything is signed (`preparing`, `planning`, `foresight`); every bundle is
checked as `check` would (`judging`), and is on disk (`bundles`), before it is published (`attester`). What
is done (`results`) is seen from the disk and the store alone, so that a run that was killed anywhere is
finished by running it again, and nothing is signed or published twice.
"""
