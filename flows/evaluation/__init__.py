"""The feature judging: commands that hold a model's samples against texts, and place a text on its axes."""
