"""Plans which exemplars to ask for: cells in pairs that share a scenario."""
