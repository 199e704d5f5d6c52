"""The health of a whole catalogue: what is measured, what needs a person, and the commands that mend it."""
