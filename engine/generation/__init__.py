"""A cell becomes a prompt, and a reply becomes exemplars."""
