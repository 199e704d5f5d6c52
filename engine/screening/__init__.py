"""Accept each exemplar or reject it with a reason: by rules, by the in-context judge and by the voting judge."""
