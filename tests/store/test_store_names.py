"""Names: any text that people write, and nothing that breaks a terminal, a path or a file."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speakerid.errors import SpeakerNameError, UnknownSpeakerError
from speakerid.store import SpeakerUpdate, Store, normal_name

Update = Callable[..., SpeakerUpdate]


@pytest.mark.parametrize(
    "name",
    [
        "alice", "Mary Ann", "José", "Núria", "Дмитрий", "小明", "محمد", "🎤", "👨‍👩‍👧", "O'Neill", '"quoted"', "100%",
        "a.b", "..", "-", "--db", "'; DROP TABLE speakers; --", "NULL", "ß", "x" * 200, "😀" * 200,
    ],
)  # fmt: skip
def test_names_people_have(name: str, store: Store, update: Update) -> None:
    assert normal_name(name) == name
    store.write([update(name, 1)])
    assert store.names() == [name]
    assert store.speaker(name).name == name
    assert store.model(name)[0] == store.mixtures()[name]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "blank"),
        ("   ", "blank"),
        ("\u00a0\u2003", "blank"),
        ("a/b", "path separator /"),
        ("a\\b", "path separator \\"),
        ("a\nb", "a control character"),
        ("a\tb", "a control character"),
        ("a\0", "a control character"),
        ("\x1b[31m", "a control character"),
        ("a\x7f", "a control character"),
        ("a\x85", "a control character"),
        ("a\u2028b", "a line break"),
        ("a\u2029b", "a line break"),
        ("caf\udce9", "bytes that are not UTF-8"),
        ("x" * 201, "201 characters, 200 at most"),
    ],
)
def test_names_nobody_has(name: str, says: str) -> None:
    with pytest.raises(SpeakerNameError) as caught:
        normal_name(name)
    message = str(caught.value)
    assert says in message
    assert message.isprintable()
    message.encode("utf-8")


def test_composed_and_decomposed_are_one_speaker(store: Store, update: Update) -> None:
    decomposed = unicodedata.normalize("NFD", "José")
    assert decomposed != "José"
    assert normal_name(decomposed) == "José"
    store.write([update("José", 1)])
    assert store.speaker(decomposed).name == "José"
    assert store.model(decomposed)[1]
    store.rename(decomposed, unicodedata.normalize("NFD", "Núria"))
    assert store.names() == ["Núria"]
    store.remove([unicodedata.normalize("NFD", "Núria")])
    assert store.names() == []


def test_a_decomposed_name_can_be_copied(
    tmp_path: Path, new_store: Callable[[Path], Store], store: Store, update: Update
) -> None:
    with new_store(tmp_path / "source.db") as source:
        source.write([update("José", 1)])
        store.copy_from(source, [unicodedata.normalize("NFD", "José")])
    assert store.names() == ["José"]


def test_spaces_around_do_not_count_and_case_does(store: Store, update: Update) -> None:
    store.write([update(normal_name("  Ann "), 1), update("ann", 2)])
    assert store.names() == ["Ann", "ann"]
    assert store.speaker(" Ann").name == "Ann"


def test_an_unknown_name_lists_a_few_known_ones(store: Store, update: Update) -> None:
    store.write([update(f"speaker {i:02d}", i) for i in range(12)])
    with pytest.raises(UnknownSpeakerError, match=r"no speaker 'Eve' in .*; enrolled: speaker 00, .* and 4 more$"):
        store.speaker("Eve")


@given(text=st.text(max_size=210))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_normal_name_is_stable(text: str) -> None:
    try:
        name = normal_name(text)
    except SpeakerNameError as error:
        assert str(error).encode("utf-8")  # noqa: PT017 - only when it is raised
        return
    assert normal_name(name) == name
    assert name == name.strip()
    assert unicodedata.is_normalized("NFC", name)
    assert 1 <= len(name) <= 200


@given(
    text=st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="/\\"), min_size=1, max_size=40
    )
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_accepted_name_goes_through_the_store(text: str, filled: Path, update: Update) -> None:
    try:
        name = normal_name(text)
    except SpeakerNameError:
        invisible = all(unicodedata.category(character)[0] in "CZ" for character in text)
        assert invisible or len(unicodedata.normalize("NFC", text)) > 200
        return
    if name in ("Ann", "Bob"):
        return
    with Store(filled) as store:
        store.write([update(name, 77)])
    with Store(filled) as store:
        assert sorted([name, "Ann", "Bob"]) == sorted(store.names())
        assert store.speaker(text).n_recordings == 1
        assert name in store.mixtures()
        store.remove([text])
        assert store.names() == ["Ann", "Bob"]
