"""Chooses exemplars in pairs, looks at the choice, and runs rounds until the quotas are met."""
