"""The feature evaluation: commands that evaluate a model's samples on texts, and score a text on its axes."""
