"""Readers for the entries of ``sources``: files of labelled lines, text files in passages, ordinary texts."""
