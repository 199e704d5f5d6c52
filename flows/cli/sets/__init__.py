"""Sample sets from the command line: checked, made again, taken off."""
