"""A rate a minute that all runs and machines share."""
