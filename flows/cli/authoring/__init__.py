"""What helps an author of a model: a file to begin with, what is wrong in it, what its samples are worth."""
