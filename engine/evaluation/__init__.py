"""Holds attached samples against texts that people have labelled."""
