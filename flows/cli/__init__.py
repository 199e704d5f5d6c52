"""The command ``exemplars``: its subcommands and what they print."""
