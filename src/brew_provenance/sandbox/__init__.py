"""A Sigstore instance of our own, in process: for tests, demonstrations and local servers.

Its keys come from a seed that anybody can read, so nothing that it signs proves anything to
a verifier that was not told to trust it.
"""
