"""Backfills: runs for many models, with the selection of models, a ledger of their outcomes and a page."""
