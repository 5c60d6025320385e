"""Verdicts and examinations, rendered: values in, text out. Nothing here decides anything."""
