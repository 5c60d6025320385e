"""GitHub's attestation store on loopback: its REST API, its blobs, and its bad days.

For tests, benchmarks and rehearsals of a CI. It verifies nothing and keeps everything in memory.
Sources: https://docs.github.com/en/rest/repos/attestations, /rest/orgs/attestations and
/rest/users/attestations; what they leave open follows from what `gh attestation` copes with.
"""
