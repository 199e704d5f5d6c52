"""Plain text: words, languages, near duplicates, embeddings, the habits of a writer, markdown."""
