"""Functions on plain text: words, language, near duplicates, embeddings, stylometry and formatting."""
