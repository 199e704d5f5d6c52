"""Measures samples: pole scores, the probe, shortcuts and diversity, and the gate's verdict as plain values."""
