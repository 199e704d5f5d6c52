"""Sample sets from the command line: verified, detached, single samples taken off."""
