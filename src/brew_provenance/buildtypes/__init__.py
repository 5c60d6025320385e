"""SLSA build types of our own; a folder a type and version, with its specification beside its models."""
