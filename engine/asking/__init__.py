"""Plans in pairs what a model is asked for; a cell becomes a prompt, and its reply exemplars."""
