"""Stands in, within such a project, for compiled packages that need not be installed where it is opened."""
