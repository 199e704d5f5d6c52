"""Caches the models' replies on disk and on an object store, so that no call is paid for twice."""
