"""The program: ``speakerid`` and ``python -m speakerid``, and what Ctrl-C does to it.

While the modules are still being imported it ends the program as it ends any other, without a traceback. After that the
first one stops in an orderly way, the second at once: a store is whole at any moment.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

__all__ = ["main"]

_EXIT_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from speakerid.cli.main import main as run  # noqa: PLC0415 - after the line above

    signal.signal(signal.SIGINT, _interrupt)
    run()


def _interrupt(_number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(_EXIT_INTERRUPTED))
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
