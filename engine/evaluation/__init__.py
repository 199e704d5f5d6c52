"""Evaluate attached samples on texts that people have labelled."""
