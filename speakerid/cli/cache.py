"""``speakerid cache``: features and scores that were computed before."""

from __future__ import annotations

import click

from speakerid.cli.options import common_options, format_option, read_config
from speakerid.cli.output import note, print_json, print_table

__all__ = ["cache"]


@click.group()
def cache() -> None:
    """Show or clear the features and scores that are kept from earlier runs.

    They are kept in a folder for caches, so that a second evaluation does not read the recordings again. The environment
    variable SPEAKERID_CACHE names another folder, and SPEAKERID_CACHE_LIMIT another size than 2GB, such as 500MB (1 MB is
    1,000,000 bytes), or 0 to keep nothing.
    """


def _count(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries} entries"


@cache.command(short_help="Show where the cache is and how large.", epilog="Example:  speakerid cache show")
@format_option("table", "json")
@common_options
def show(layout: str, db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """Show the folders of the cache, their entries, size and limit."""
    from speakerid.workflows.cache import FeatureCache
    from speakerid.workflows.score_book import ScoreBooks, books_limit
    from speakerid.workflows.sizes import format_size

    read_config(config_path)
    with FeatureCache.from_environment() as features:
        usage = features.usage()
    books = ScoreBooks(features.folder.parent)
    files = books.files()
    kept = [
        ("features", features.folder, usage.entries, usage.bytes, features.limit_bytes),
        ("scores", books.folder, len(files), sum(size for _path, size, _changed in files), books_limit(features)),
    ]
    if layout == "json":
        for what, folder, entries, n_bytes, limit in kept:
            print_json(
                {"what": what, "folder": str(folder), "entries": entries, "bytes": n_bytes, "limit_bytes": limit}
            )
        return
    columns = [("Kept", "left"), ("Folder", "left"), ("Entries", "right"), ("Size", "right"), ("Limit", "right")]
    print_table(
        columns,
        ([what, str(folder), str(n), format_size(size), format_size(limit)] for what, folder, n, size, limit in kept),
    )


@cache.command(short_help="Remove all that is kept.", epilog="Example:  speakerid cache clear")
@common_options
def clear(db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """Remove all features and scores that are kept; nothing else in the folder is touched."""
    from speakerid.workflows.cache import FeatureCache, default_cache_folder
    from speakerid.workflows.score_book import ScoreBooks
    from speakerid.workflows.sizes import format_size

    read_config(config_path)
    with FeatureCache(default_cache_folder()) as features:
        removed = features.clear()
    folder = features.folder.parent
    n_bytes = removed.bytes + ScoreBooks(folder).clear()
    note(
        f"removed {_count(removed.entries)}, {format_size(n_bytes)}, from {folder}"
        if n_bytes
        else f"nothing is kept in {folder}",
        quiet=quiet,
    )
