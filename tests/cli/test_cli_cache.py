"""``speakerid cache`` as people see it, and the cache among ``doctor``'s findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speakerid.audio import Recording
from speakerid.config import FrontEndConfig
from speakerid.workflows.cache import FeatureCache

Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the cache"


@pytest.fixture
def filled(folder: Path, known_files: list[str]) -> FeatureCache:
    with FeatureCache(folder) as cache:
        for path in known_files[:3]:
            cache.analyse(Recording(path), FrontEndConfig())
    return cache


def test_show_in_json_and_as_a_table(run: Run, folder: Path, filled: FeatureCache) -> None:
    env = {"SPEAKERID_CACHE": str(folder), "SPEAKERID_CACHE_LIMIT": "1.5GB"}
    outcome = run("cache", "show", "--format", "json", env=env)
    assert (outcome.status, outcome.err) == (0, "")
    n_bytes = sum(path.stat().st_size for path in filled.folder.iterdir())
    features, scores = outcome.json
    assert features == {
        "what": "features", "folder": str(filled.folder), "entries": 3, "bytes": n_bytes, "limit_bytes": 1_500_000_000,
    }  # fmt: skip
    assert scores == {
        "what": "scores", "folder": str(folder / "scores-v1"), "entries": 0, "bytes": 0, "limit_bytes": 187_500_000,
    }  # fmt: skip
    table = run("cache", "show", env=env)
    assert (table.status, table.err) == (0, "")
    assert str(filled.folder) in table.out
    assert table.out.splitlines()[-2].split()[-5:] == ["3", f"{n_bytes / 1000:.1f}", "kB", "1.50", "GB"]


def test_nothing_is_kept_yet_and_looking_makes_nothing(run: Run, folder: Path) -> None:
    env = {"SPEAKERID_CACHE": str(folder), "SPEAKERID_CACHE_LIMIT": ""}
    line, _scores = run("cache", "show", "--format", "json", env=env).json
    assert (line["entries"], line["bytes"], line["limit_bytes"]) == (0, 0, 2_000_000_000)
    outcome = run("cache", "clear", env=env)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", f"nothing is kept in {folder}\n")
    assert not folder.exists()


def test_clear_says_what_it_removed(run: Run, folder: Path, filled: FeatureCache) -> None:
    (folder / "mine.txt").write_text("mine", encoding="utf-8")
    env = {"SPEAKERID_CACHE": str(folder)}
    n_bytes = filled.usage().bytes
    outcome = run("cache", "clear", env=env)
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == f"removed 3 entries, {n_bytes / 1000:.1f} kB, from {folder}\n"
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    quiet = run("cache", "clear", "--quiet", env=env)
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")


def test_one_entry_is_one_entry(run: Run, folder: Path, known_files: list[str]) -> None:
    with FeatureCache(folder) as cache:
        cache.analyse(Recording(known_files[0]), FrontEndConfig())
    assert "removed 1 entry, " in run("cache", "clear", env={"SPEAKERID_CACHE": str(folder)}).err


@pytest.mark.parametrize("command", ["show", "clear"])
def test_a_file_in_the_place_of_the_folder_is_one_line(run: Run, tmp_path: Path, command: str) -> None:
    place = tmp_path / "file"
    place.write_text("mine", encoding="utf-8")
    outcome = run("cache", command, env={"SPEAKERID_CACHE": str(place)})
    assert (outcome.status, outcome.out) == (2, "")
    [complaint] = outcome.complaints
    assert str(place) in complaint
    assert "SPEAKERID_CACHE names another folder" in complaint


def test_a_limit_that_is_none(run: Run, folder: Path, filled: FeatureCache) -> None:
    env = {"SPEAKERID_CACHE": str(folder), "SPEAKERID_CACHE_LIMIT": "a lot"}
    outcome = run("cache", "show", env=env)
    assert (outcome.status, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert outcome.complaints[0].startswith("speakerid: SPEAKERID_CACHE_LIMIT: 'a lot' is no size")
    # clearing does not need it
    assert run("cache", "clear", env=env).status == 0
    assert not filled.folder.exists()


def test_settings_that_are_named_must_be_good(run: Run, tmp_path: Path) -> None:
    for command in ("show", "clear"):
        outcome = run("cache", command, "--config", tmp_path / "none.toml", env={"SPEAKERID_CACHE": str(tmp_path)})
        assert (outcome.status, len(outcome.complaints)) == (2, 1)


def test_doctor_knows_the_cache(run: Run, folder: Path, filled: FeatureCache, tmp_path: Path) -> None:
    def finding(**env: str) -> dict[str, Any]:
        outcome = run("doctor", "--db", tmp_path / "none.db", "--format", "json", env=env)
        [found] = [line for line in outcome.json if line["check"] == "feature cache"]
        assert outcome.status == (3 if found["ok"] is False else 0)
        return found

    good = finding(SPEAKERID_CACHE=str(folder), SPEAKERID_CACHE_LIMIT="1GB")
    size = f"{filled.usage().bytes / 1000:.1f} kB of 1.00 GB"
    assert (good["ok"], good["found"]) == (True, f"{filled.folder}: 3 entries, {size}")
    assert finding(SPEAKERID_CACHE=str(folder), SPEAKERID_CACHE_LIMIT="0")["ok"] is None
    assert finding(SPEAKERID_CACHE=str(folder), SPEAKERID_CACHE_LIMIT="much")["ok"] is False
    place = tmp_path / "file"
    place.touch()
    assert finding(SPEAKERID_CACHE=str(place))["ok"] is False


def test_scores_are_shown_and_cleared(run: Run, folder: Path, sample: Path) -> None:
    env = {"SPEAKERID_CACHE": str(folder)}
    assert run("evaluate", sample / "protocol.csv", "--quiet", env=env).status in (0, 3)
    _features, scores = run("cache", "show", "--format", "json", env=env).json
    assert scores["entries"] == 1
    assert scores["bytes"] == sum(path.stat().st_size for path in (folder / "scores-v1").iterdir()) > 0
    assert run("cache", "clear", env=env).status == 0
    assert not any(path.is_file() for path in folder.rglob("*"))
