"""Export a model's samples to files for other programs, or push them to a platform."""
