"""Chooses exemplars in pairs, reviews the choice, and runs rounds until the quotas are met."""
