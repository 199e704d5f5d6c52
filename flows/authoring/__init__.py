"""Authoring feature: commands that begin a model, check it, and export it for other tools."""
