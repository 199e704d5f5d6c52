"""The command ``exemplars``: its subcommands and their output."""
