"""Which exemplars are chosen, in pairs, the review of a choice, and the rounds that fill the quotas."""
