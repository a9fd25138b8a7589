"""``speakerid cache``: features that were computed before."""

from __future__ import annotations

import click

from speakerid.cli.options import common_options, format_option, read_config
from speakerid.cli.output import note, print_json, print_table

__all__ = ["cache"]


@click.group()
def cache() -> None:
    """Show or clear the features that are kept from earlier runs.

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
    """Show the folder of the cache, its entries, their size and its limit."""
    from speakerid.workflows.cache import FeatureCache, format_size

    read_config(config_path)
    with FeatureCache.from_environment() as features:
        usage = features.usage()
    if layout == "json":
        print_json(
            {
                "folder": str(features.folder),
                "entries": usage.entries,
                "bytes": usage.bytes,
                "limit_bytes": features.limit_bytes,
            }
        )
        return
    columns = [("Folder", "left"), ("Entries", "right"), ("Size", "right"), ("Limit", "right")]
    print_table(
        columns,
        [[str(features.folder), str(usage.entries), format_size(usage.bytes), format_size(features.limit_bytes)]],
    )


@cache.command(short_help="Remove all that is kept.", epilog="Example:  speakerid cache clear")
@common_options
def clear(db: str, config_path: str | None, jobs: int, quiet: bool) -> None:  # noqa: ARG001
    """Remove all features that are kept; nothing else in the folder is touched."""
    from speakerid.workflows.cache import FeatureCache, default_cache_folder, format_size

    read_config(config_path)
    with FeatureCache(default_cache_folder()) as features:
        removed = features.clear()
    note(
        f"removed {_count(removed.entries)}, {format_size(removed.bytes)}, from {features.folder}"
        if removed.bytes
        else f"nothing is kept in {features.folder}",
        quiet=quiet,
    )
