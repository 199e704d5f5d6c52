"""``python -m exemplars``: the command ``exemplars``, where no script of that name is on the path."""

import sys

from exemplars.packages import check_packages

if __name__ == "__main__":
    try:
        check_packages("flows", "tasks", "expectations", "engine")
    except ImportError as error:
        print(f"exemplars: {error}", file=sys.stderr)
        sys.exit(2)
    from flows.cli.app import run

    run()
