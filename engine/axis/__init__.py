"""The axis between the poles of a trait: how it is fitted, what it is worth, and where texts lie on it."""
