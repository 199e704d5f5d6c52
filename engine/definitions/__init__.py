"""Read what authors write: ``model.yaml`` with its samples, the lifecycle file, the effort dial."""
