"""How good samples are: where texts lie between the poles, the probe, shortcuts, diversity, the verdict."""
