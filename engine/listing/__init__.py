"""Lists the samples of a model page by page, authored and attached, counts them, and renders its model card."""
