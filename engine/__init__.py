"""The shared synthesis engine: plain Python that plans, asks, screens, chooses and stores exemplars."""
