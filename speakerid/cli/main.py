"""The command ``speakerid`` and what happens when something goes wrong.

Exit status: 0 all done (an "unknown" is an answer); 1 `verify` says no; 2 wrong usage, or a store that cannot be used; 3 at
least one input could not be used (the others were done); 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from speakerid._version import __version__
from speakerid.cli.cache import cache
from speakerid.cli.calibrate import calibrate
from speakerid.cli.demo import demo
from speakerid.cli.doctor import doctor
from speakerid.cli.enroll import enroll
from speakerid.cli.evaluate import evaluate
from speakerid.cli.identify import identify
from speakerid.cli.label import label
from speakerid.cli.listen import listen
from speakerid.cli.output import complain
from speakerid.cli.speakers import speakers
from speakerid.cli.tune import tune
from speakerid.cli.verify import verify
from speakerid.cli.world import world
from speakerid.errors import RecordingError, SpeakerIdError

__all__ = ["cli", "main"]

EXIT_USAGE, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_DEFECT = 2, 3, 130, 70


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="speakerid")
def cli() -> None:
    """Who is speaking? Enrol voices from folders of recordings, then ask for names.

    \b
      speakerid demo                      see the whole job on sample recordings
      speakerid enroll voices/            one sub-folder a speaker
      speakerid identify question.wav     a name, or a reason why not

    Everything happens on this computer: no network, no account.
    """  # noqa: D301 - \b is click's mark for lines to keep


for _command in (
    enroll,
    identify,
    label,
    verify,
    listen,
    calibrate,
    evaluate,
    speakers,
    tune,
    world,
    demo,
    cache,
    doctor,
):
    cli.add_command(_command)


def main() -> NoReturn:
    """Run the command line and exit with its status; no error becomes a traceback."""
    # a standard stream that was closed (>&-) is None: nobody listens
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the same
    for stream in (sys.stdout, sys.stderr):
        # a name that the terminal's encoding lacks is shown escaped instead of ending the program
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = _run()
    if status == EXIT_INTERRUPTED:
        # workers may still be inside a decoder: end at once instead of taking the interpreter down around them
        _end_at_once(status)
    sys.exit(status)


def _end_at_once(status: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(status)


def _run() -> int:
    try:
        status = cli.main(prog_name="speakerid", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # of click 8.2 and newer: its message is the help
            with contextlib.suppress(OSError, ValueError):
                error.show()
            return EXIT_USAGE
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context is not None else ""
        complain(f"{error.format_message()}{where}")
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        complain("stopped; what was complete is kept")
        return EXIT_INTERRUPTED
    except SystemExit as end:
        # click's own: 0 after shell completion, 1 to a reader that has gone (`| head`), which is no failure of ours
        return 0 if end.code in (None, 0, 1) else EXIT_USAGE
    except RecordingError as error:
        complain(str(error))
        return EXIT_INPUT
    except SpeakerIdError as error:
        complain(str(error))
        return EXIT_USAGE
    except BrokenPipeError:
        # the reader of our answers has gone: nothing more to say, also not at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        complain("out of memory; use fewer --jobs or shorter recordings")
        return EXIT_INPUT
    except OSError as error:
        complain(f"{error.filename or 'output'}: {error.strerror or error}")
        return EXIT_USAGE
    except Exception as error:
        if os.environ.get("SPEAKERID_DEBUG"):
            raise
        complain(
            f"internal error ({type(error).__name__}: {error}); this is a defect of speakerid: please report it "
            "(SPEAKERID_DEBUG=1 shows where)"
        )
        return EXIT_DEFECT
    return status if isinstance(status, int) else 0
