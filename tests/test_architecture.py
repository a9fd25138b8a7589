"""The staircase of rooms, what must never be in the code, and one version number."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import speakerid

PACKAGE = Path(speakerid.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = (
    "errors", "parallel", "config", "audio", "frontend", "mixtures", "scoring", "store", "evaluation", "workflows", "cli",
)  # fmt: skip
# what a room must not know beyond the order of the stairs
FORBIDDEN = {
    "config": {"numpy", "scipy", "soundfile", "soxr", "librosa", "click", "rich", "sqlite3"},
    "errors": {"numpy", "click", "sqlite3"},
    "parallel": {"soundfile", "librosa", "click", "rich", "sqlite3"},
    "frontend": {"soundfile", "av", "sqlite3", "click", "rich", "pathlib", "os"},
    "mixtures": {"soundfile", "sqlite3", "click", "rich", "pathlib", "os", "librosa"},
    "scoring": {"soundfile", "sqlite3", "click", "rich", "pathlib", "os", "librosa"},
    "audio": {"librosa", "sqlite3", "click", "rich", "sklearn"},
    "store": {"soundfile", "librosa", "click", "rich", "pickle"},
    "evaluation": {"soundfile", "av", "librosa", "sqlite3", "click", "rich"},
    "workflows": {"click", "rich"},
    "cli": {"numpy", "scipy", "soundfile", "librosa", "sqlite3"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, module and imported name (empty for `import x`); relative imports are made absolute."""
    package = ("speakerid", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from ((node.lineno, module, alias.name) for alias in node.names)


def target_rooms(module: str, name: str) -> set[str]:
    """Rooms that an import reaches; `from speakerid import x` reaches x."""
    parts = module.split(".")
    if parts[0] != "speakerid":
        return set()
    return {parts[1] if len(parts) > 1 else name}


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_the_code_was_found() -> None:
    assert {"errors", "config", "audio", "frontend", "mixtures", "scoring", "store", "workflows", "cli"} <= {
        room_of(path) for path in MODULES
    }
    reached = {r for path in MODULES for _line, module, name in imports(path) for r in target_rooms(module, name)}
    assert {
        "errors",
        "config",
        "audio",
        "frontend",
        "mixtures",
        "scoring",
        "store",
        "evaluation",
        "workflows",
    } <= reached


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_room_imports_only_from_rooms_above(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__", "_version"):
        return  # the front door opens on every room
    assert room in ROOMS, f"{room} is not on the stairs of architecture.md"
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "_version"}
    wrong = [
        f"{relative(path)}:{line}: {room} imports {module} ({reached})"
        for line, module, name in imports(path)
        for reached in target_rooms(module, name)
        if reached not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_room_does_not_know_what_it_must_not(path: Path) -> None:
    forbidden = FORBIDDEN.get(room_of(path), set())
    wrong = [
        f"{relative(path)}:{line}: {module}" for line, module, _ in imports(path) if module.split(".")[0] in forbidden
    ]
    assert wrong == []


def test_scoring_does_not_know_the_store_and_mixtures_know_no_audio() -> None:
    below = {"scoring": {"store", "audio", "workflows"}, "mixtures": {"audio", "frontend", "store"}}
    wrong = [
        f"{relative(path)}:{line}: {module}"
        for path in MODULES
        for line, module, name in imports(path)
        if target_rooms(module, name) & below.get(room_of(path), set())
    ]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_runs_code_from_a_file(path: Path) -> None:
    modules = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "runpy", "code", "codeop"}
    wrong = [f"{line}: {module}" for line, module, _ in imports(path) if module.split(".")[0] in modules]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in ("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"):
            wrong.append(f"{node.lineno}: {called}(")
        if called in ("joblib.dump", "joblib.load", "yaml.load", "os.system", "os.popen"):
            wrong.append(f"{node.lineno}: {called}(")
        if any(keyword.arg in ("allow_pickle", "shell") for keyword in node.keywords):
            wrong.append(f"{node.lineno}: {ast.unparse(node)}")
    wrong += [
        f"{line}: from joblib import {name}"
        for line, module, name in imports(path)
        if module.startswith("joblib") and name in ("dump", "load")
    ]
    assert wrong == [], relative(path)


def test_one_version() -> None:
    from speakerid._version import __version__

    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__ == speakerid.__version__


def test_the_errors_are_the_tree_in_their_docstring() -> None:
    from speakerid import errors

    parents: dict[str, str] = {}
    stack: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").split()
        if not words or not words[0].endswith("Error") or not line.startswith("    "):
            continue
        depth = (line.index(words[0]) - 4) // 4
        del stack[depth:]
        parents[words[0]] = stack[-1] if stack else "Exception"
        stack.append(words[0])
    actual = {name: getattr(errors, name).__bases__[0].__name__ for name in errors.__all__}
    assert parents == actual
