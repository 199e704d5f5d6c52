"""``python -m exemplars``: the command ``exemplars``, where no script of that name is on the path."""

from flows.cli.app import run

if __name__ == "__main__":
    run()
