"""What can be asked for: the main job, and in which order its steps run."""
