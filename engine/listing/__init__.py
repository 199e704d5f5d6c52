"""The samples of a model page by page, authored and attached, and how many there are."""
