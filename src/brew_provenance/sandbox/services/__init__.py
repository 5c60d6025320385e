"""The whole world of a GitHub Actions job on loopback: tokens, CA, log, time, GitHub, formulae and bottles.

`world.serve_world` starts all of it. Each server stands on a port of its own, so that it can be seen who
was shown which token, and each can be told to have a bad day.
"""
