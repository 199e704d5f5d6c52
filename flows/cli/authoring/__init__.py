"""What helps an author of a model judge its samples."""
