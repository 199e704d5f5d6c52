"""What an author wrote: ``model.yaml`` and its samples, the lifecycle file, the effort dial."""
