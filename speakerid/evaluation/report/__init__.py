"""The page of an evaluation: one HTML file for people, from the results that ``speakerid evaluate --json`` writes.

- It holds all it needs and asks for nothing: styles, script, pictures and recordings are in it, and its content security
  policy refuses the rest, so that nothing in a file's or a speaker's name can run or be fetched.
- The same results give the same bytes.
- It reads without a script; the script sorts and filters tables and draws large confusion matrices.

==================  ====================================================================================================
``words``           how numbers are written, and the figures' names
``contents``        what the page says: results → plain values for the template
``headlines``       the same for the figures at its top, and for systems compared
``tables``          for its long tables and the confusion matrix
``recordings``      for its tables of recordings
``plates``          for pictures with what stands around them
``pictures``        curves, drawn by matplotlib
``page.html.jinja`` the page, with ``style.css`` and ``page.js``
==================  ====================================================================================================

matplotlib and Jinja2 are imported when a page is made, not with the package.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from speakerid.evaluation.report.contents import contents
from speakerid.evaluation.report.words import count, number, pair, percent, seconds, visible

__all__ = ["render_report"]


def render_report(results: Mapping[str, Any], *, clips: Mapping[int, bytes] | None = None) -> str:
    """The page.

    Parameters
    ----------
    results : dict
        As ``speakerid evaluate --json`` writes them. What is missing or None is left out, or its absence explained.
    clips : dict of int to bytes, optional
        FLAC, WAV or other audio files of short recordings, by the number of the trial in ``results["trials"]``; those of
        the hardest and of the undecided recordings get a player.

    Returns
    -------
    page : str
        HTML, to be written as UTF-8.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_text),
    )
    environment.filters |= {
        "count": count, "number": number, "pair": pair, "percent": percent, "seconds": seconds, "visible": visible,
    }  # fmt: skip
    script = _text("page.js")
    page = environment.get_template("page.html.jinja").render(
        **contents(results, clips or {}), style=_text("style.css"), script=script, script_hash=_hash(script)
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # settings and versions too may hold halves of characters


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
