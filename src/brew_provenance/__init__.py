"""Build provenance for Homebrew bottles."""

__version__ = "0.1.0"
