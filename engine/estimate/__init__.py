"""What a run will cost: which calls it makes, how many tokens they take, and how that reads."""
