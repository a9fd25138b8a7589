"""The page of a timeline in Chromium: it plays, the cursor runs, every key works, nothing is fetched, nothing overflows.

Chromium is the one that ``SPEAKERID_CHROMIUM`` names, or the first of the usual names on the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from made_up_timelines import HOSTILE, RATE, later, long_meeting, meeting, recording, segment, timeline

from speakerid.audio import Recording, array_stream
from speakerid.workflows.timeline import Timeline
from speakerid.workflows.timeline_page import write_page

SEGMENTS = meeting().segments
READY = "document.querySelector('audio').readyState >= 1"
NOW = "document.querySelector('audio').currentTime"


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Open a page from disk; at the end it must have asked for itself only, and complained about nothing."""
    contexts, opened = [], []

    def open_page(
        path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True, motion: str = "no-preference",
        address: str = "",
    ) -> Opened:  # fmt: skip
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script,
            reduced_motion=motion,
        )  # fmt: skip
        contexts.append(context)
        result = Opened(context.new_page())
        opened.append(result)
        result.page.on("console", lambda message: result.complaints.append(message.text))
        result.page.on("pageerror", lambda error: result.complaints.append(str(error)))
        result.page.on("request", lambda request: result.requests.append(request.url))
        result.page.goto(path.as_uri() + address)
        return result

    yield open_page
    for each in opened:
        assert each.complaints == []
        assert [url for url in each.requests[1:] if not url.startswith(("data:", "blob:"))] == []
    for context in contexts:
        context.close()


def written(folder: Path, name: str, of: Timeline, *, sound: bool = True, **options: Any) -> Path:
    path = folder / f"{name}.html"
    source = array_stream(recording(of), RATE, sample_rate=RATE) if sound else None
    write_page(of, path, source=source, **options)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def page_file(folder: Path) -> Path:
    return written(folder, "meeting", meeting())


@pytest.fixture(scope="module")
def silent_file(folder: Path) -> Path:
    return written(folder, "silent", meeting(), sound=False)


@pytest.fixture(scope="module")
def hostile_file(folder: Path) -> Path:
    of = timeline(
        [segment(i * 10, i * 10 + 8, n) for i, n in enumerate((*HOSTILE, None, ""))], 95.0,
        path=f"{'folder/' * 30}{HOSTILE[0]}{'x' * 90}.wav", message="y" * 300,
    )  # fmt: skip
    return written(folder, "hostile", of)


@pytest.fixture(scope="module")
def long_file(folder: Path) -> Path:
    return written(folder, "long", long_meeting(), sound=False)


@pytest.fixture
def page(show: Callable[..., Opened], page_file: Path) -> Any:
    shown = show(page_file).page
    until(shown, READY)
    return shown


def until(page: Any, condition: str) -> None:
    """Wait. Playwright's own way evaluates text again and again, which the page's policy refuses."""
    page.evaluate(
        f"""() => new Promise((done, fail) => {{
          const end = performance.now() + 20000;
          const look = () => {{
            if ({condition}) done();
            else if (performance.now() > end) fail(new Error({condition!r}));
            else setTimeout(look, 5);
          }};
          look();
        }})"""
    )


def time_of(page: Any) -> float:
    """Seconds where the recording is, once it has got there."""
    until(page, "!document.querySelector('audio')?.seeking")
    return float(page.evaluate(f"document.querySelector('audio') ? {NOW} : -1"))


def told(page: Any) -> str:
    return str(page.locator(".time").inner_text())


def cursor(page: Any) -> float:
    """Seconds where the cursor stands in the lanes."""
    share = page.evaluate(
        """() => {
          const [a, b] = ['.cursor', '.track'].map(e => document.querySelector(e).getBoundingClientRect());
          return (a.left + a.width / 2 - b.left) / b.width;
        }"""
    )
    return 30.0 * float(share)


def click_lane(page: Any, lane: int, seconds: float, *, selector: str = ".lane-row") -> None:
    row = page.locator(f".track {selector}").nth(lane)
    box = row.bounding_box()
    row.click(position={"x": box["width"] * seconds / 30, "y": box["height"] / 2})


def colour(page: Any, selector: str, which: str) -> str:
    return str(page.eval_on_selector(selector, f"each => getComputedStyle(each).{which}"))


def test_the_recording_has_its_length(page: Any) -> None:
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(30, abs=0.1)
    assert told(page) == "0:00.0 / 0:30.0"


def test_a_click_on_a_segment_plays_it(page: Any) -> None:
    click_lane(page, 1, 6.5)
    until(page, f"{NOW} > 4.8")
    assert 4.75 <= time_of(page) < 9.5
    assert page.locator(".play").inner_text() == "❚❚ Pause"
    assert page.locator(".player output").inner_text().startswith("Bo Ek 0:04.8–0:09.0, probability 98.8")
    page.locator(".play").click()
    assert page.evaluate("document.querySelector('audio').paused")
    assert cursor(page) == pytest.approx(time_of(page), abs=0.05)


def test_a_click_elsewhere_seeks_without_playing(page: Any) -> None:
    for lane, seconds, selector in (
        (0, 15.6, ".lane-row"),
        (2, 3.0, ".lane-row"),
        (0, 22.5, ".wave-row"),
        (0, 9.8, ".ruler-row"),
    ):
        click_lane(page, lane, seconds, selector=selector)
        assert time_of(page) == pytest.approx(seconds, abs=0.05)
        assert cursor(page) == pytest.approx(seconds, abs=0.05)
    assert page.evaluate("document.querySelector('audio').paused")


def test_the_cursor_runs_with_the_recording(page: Any) -> None:
    page.locator(".play").click()
    until(page, f"{NOW} > 0.6")
    seen = page.evaluate(
        """() => new Promise(done => requestAnimationFrame(() => {
          const [a, b] = ['.cursor', '.track'].map(e => document.querySelector(e).getBoundingClientRect());
          done([(a.left + 1 - b.left) / b.width * 30, document.querySelector('audio').currentTime]);
        }))"""
    )
    assert seen[0] == pytest.approx(seen[1], abs=0.1)
    assert page.locator("tr.current").count() == 1


def test_the_cursor_of_those_who_want_no_motion_steps(show: Callable[..., Opened], page_file: Path) -> None:
    page = show(page_file, motion="reduce").page
    until(page, READY)
    page.evaluate(
        """() => {
          window.frames_asked = 0;
          const own = requestAnimationFrame;
          window.requestAnimationFrame = (f) => { window.frames_asked++; return own(f); };
        }"""
    )
    page.keyboard.press("Space")
    until(page, f"{NOW} > 0.9")
    assert page.evaluate("window.frames_asked") < 5
    assert 0 < cursor(page) <= time_of(page) + 0.1


def test_dragging_over_the_waveform_moves_the_cursor(page: Any) -> None:
    box = page.locator(".track .wave-row").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20, steps=4)
    page.mouse.up()
    assert time_of(page) == pytest.approx(18, abs=0.1)


def test_every_key_does_what_the_list_says(page: Any) -> None:
    def after(key: str) -> float:
        page.keyboard.press(key)
        return time_of(page)

    assert after("ArrowRight") == pytest.approx(5, abs=0.01)
    assert after("Shift+ArrowRight") == pytest.approx(6, abs=0.01)
    assert after("Shift+ArrowLeft") == pytest.approx(5, abs=0.01)
    assert after("ArrowDown") == pytest.approx(9.5, abs=0.01)
    assert after("ArrowDown") == pytest.approx(14.5, abs=0.01)
    assert after("ArrowUp") == pytest.approx(9.5, abs=0.01)
    assert after("ArrowUp") == pytest.approx(4.75, abs=0.01)
    assert after("ArrowLeft") == 0
    assert after("End") == pytest.approx(30, abs=0.05)
    assert after("ArrowDown") == pytest.approx(30, abs=0.05)
    assert after("Home") == 0
    assert after("ArrowUp") == 0
    width = page.evaluate("document.querySelector('.track').clientWidth")
    page.keyboard.press("+")
    assert page.evaluate("document.querySelector('.track').clientWidth") == pytest.approx(2 * width, abs=2)
    page.keyboard.press("-")
    assert page.evaluate("document.querySelector('.track').clientWidth") == pytest.approx(width, abs=2)
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("ArrowRight")
    assert time_of(page) == 0
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    page.keyboard.press("Space")
    until(page, f"{NOW} > 0.05")
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('audio').paused")
    listed = page.locator("dialog kbd").all_text_contents()
    assert listed == ["Space", "←", "→", "Shift", "←", "→", "↑", "↓", "Home", "End", "+", "−", "?"]


def test_keys_with_others_held_are_the_browsers(page: Any) -> None:
    page.evaluate(
        """for (const change of [{ctrlKey: true}, {altKey: true}, {metaKey: true}])
             document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true, ...change}))"""
    )
    assert time_of(page) == 0


def test_keys_typed_into_fields_are_not_taken(page: Any) -> None:
    page.get_by_label("Speed").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    assert time_of(page) == 0
    page.evaluate("document.querySelector('main').append(Object.assign(document.createElement('input'), {id: 'own'}))")
    page.locator("#own").focus()
    page.keyboard.type("+ -? a")
    page.keyboard.press("Home")
    assert page.locator("#own").input_value() == "+ -? a"
    assert not page.locator("dialog").is_visible()
    box = page.get_by_label("LLR curves")
    box.focus()
    page.keyboard.press("Space")
    assert box.is_checked()
    assert page.evaluate("document.querySelector('audio').paused")


def test_a_row_plays_by_click_and_by_key_and_is_marked(page: Any) -> None:
    page.locator(".segments tbody tr").nth(4).locator("td").nth(3).click()
    until(page, f"{NOW} > 16")
    # the hand is at the space bar
    page.locator(".segments tbody button").nth(4).click()
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('audio').paused")
    row = page.locator(".segments tbody button").nth(1)
    page.keyboard.press("Tab")
    row.focus()
    page.keyboard.press("Space")
    until(page, f"{NOW} > 4.75 && {NOW} < 9")
    assert page.locator("[aria-current]").count() == 1
    assert row.get_attribute("aria-current") == "true"
    assert page.locator("tr.current").count() == 1
    mark = page.locator(".mark").bounding_box()
    lane = page.locator(".track .lane-row").nth(1).bounding_box()
    assert mark["x"] == pytest.approx(lane["x"] + lane["width"] * 4.75 / 30, abs=2)
    assert mark["width"] == pytest.approx(lane["width"] * 4.25 / 30, abs=2)
    assert mark["y"] == pytest.approx(lane["y"], abs=2)


def test_between_segments_nothing_is_marked(page: Any) -> None:
    for seconds, n in ((0.0, 0), (0.5, 1), (4.3, 0), (4.75, 1), (15.5, 0)):
        page.evaluate(f"location.hash = '#t={seconds}'")
        until(page, f"Math.abs({NOW} - {seconds}) < 0.01")
        assert page.locator("tr.current").count() == n
        assert page.locator(".mark:visible").count() == n


def test_an_address_says_where_to_begin(show: Callable[..., Opened], page_file: Path) -> None:
    page = show(page_file, address="#t=12.3").page
    until(page, f"Math.abs({NOW} - 12.3) < 0.02")
    assert told(page).startswith("0:12.3")
    assert cursor(page) == pytest.approx(12.3, abs=0.05)
    page.evaluate("location.hash = '#t=999'")
    until(page, f"{NOW} > 29.9")
    page.evaluate("location.hash = '#t=window.ran=1'")
    assert time_of(page) > 29.9


def test_closer_keeps_the_cursor_in_place_and_follows_it(page: Any) -> None:
    page.evaluate("location.hash = '#t=20'")
    until(page, f"Math.abs({NOW} - 20) < 0.01")

    def on_screen() -> float:
        return float(page.locator(".cursor").bounding_box()["x"])

    before = on_screen()
    page.keyboard.press("+")
    assert on_screen() == pytest.approx(before, abs=2)
    page.keyboard.press("+")
    port = page.locator(".port").bounding_box()
    page.get_by_label("follow").uncheck()  # whoever seeks wants to see where
    for key in ("End", "Home", "ArrowRight"):
        page.keyboard.press(key)
        assert port["x"] - 3 <= on_screen() <= port["x"] + port["width"] + 3
    assert cursor(page) == pytest.approx(time_of(page), abs=0.05)
    while not page.get_by_role("button", name="Closer").is_disabled():
        page.keyboard.press("+")
    assert page.evaluate(
        "document.querySelector('.view').clientWidth / document.querySelector('.track').clientWidth"
    ) == pytest.approx(5 / 30, abs=0.01)
    # playing out of the view turns it over
    page.get_by_label("follow").check()
    page.evaluate("document.activeElement.blur()")
    page.evaluate("location.hash = '#t=5.0'")
    until(page, f"Math.abs({NOW} - 5) < 0.02")
    page.evaluate(
        "document.querySelector('.view').scrollLeft = (5.2 / 30) * document.querySelector('.track').clientWidth"
        " - document.querySelector('.view').clientWidth"
    )
    left = page.evaluate("document.querySelector('.view').scrollLeft")
    page.keyboard.press("Space")
    until(page, f"{NOW} > 5.5")
    assert page.evaluate("document.querySelector('.view').scrollLeft") > left
    page.keyboard.press("Space")


def test_one_voice_is_shown_alone(page: Any) -> None:
    chip = page.locator(".voices button").first
    assert chip.inner_text().split("\n")[0].startswith("Ann-Marie")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    assert page.locator(".segments tbody tr:visible").count() == 3
    assert page.locator(".track .lane-row.faded").count() == 3
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert time_of(page) == pytest.approx(9.5, abs=0.01)
    page.keyboard.press("ArrowDown")
    assert time_of(page) == pytest.approx(21.5, abs=0.01)
    chip.click()
    assert page.locator(".segments tbody tr:visible").count() == 6
    assert page.locator(".faded").count() == 0


def ink(page: Any, lane: int, shade: str) -> list[int]:
    """Rows of the canvas, in a lane, where a colour of the page is drawn."""
    found = page.evaluate(
        """([lane, shade]) => {
          const canvas = document.createElement('canvas'), drawn = document.querySelector('canvas');
          Object.assign(canvas, {width: drawn.width, height: drawn.height});
          canvas.getContext('2d', {willReadFrequently: true}).drawImage(drawn, 0, 0);
          const row = document.querySelectorAll('.track .lane-row')[lane];
          const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
          pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(shade);
          pen.fillRect(0, 0, 1, 1);
          const wanted = pen.getImageData(0, 0, 1, 1).data;
          const ratio = devicePixelRatio, h = row.offsetHeight;
          const { data, width } = canvas.getContext('2d').getImageData(0, row.offsetTop * ratio, canvas.width, h * ratio);
          const rows = [];
          for (let y = 0; y < h * ratio; y++) for (let x = 0; x < width; x++) {
            const i = 4 * (y * width + x);
            if (data[i + 3] > 200 && [0, 1, 2].every(c => Math.abs(data[i + c] - wanted[c]) < 8)) { rows.push(y); break; }
          }
          return rows;
        }""",
        [lane, shade],
    )
    return [int(y) for y in found]


def test_curves_are_shown_on_demand(page: Any) -> None:
    drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(drawn)
    assert ink(page, 0, "--system-0") == []
    assert not page.locator(".scale").is_visible()
    page.get_by_label("LLR curves").check()
    page.evaluate(drawn)
    first = ink(page, 0, "--system-0")
    assert max(first) - min(first) > 20  # up where she speaks, down where others do
    assert ink(page, 2, "--system-2") == []  # nobody unknown has a curve
    assert "nats a frame" in page.locator(".scale").inner_text()


def test_it_is_reached_by_tab_in_the_order_of_the_page_and_the_focus_is_seen(page: Any) -> None:
    seen = []
    for _ in range(24):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => {
                  const each = document.activeElement, style = getComputedStyle(each);
                  return [each.getAttribute('aria-label') || each.labels?.[0]?.textContent || each.textContent.trim(),
                    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1];
                }"""
            )
        )
    names = [name.split("\n")[0].strip() for name, _ in seen]
    assert names[:8] == ["To the segments", "▶ Play", "Speed", "Closer", "follow", "LLR curves", "Keys", names[7]]
    assert names[7].startswith("Ann-Marie")
    assert names[11:14] == ["Position in the recording", "Segments", "0:00.5: play Ann-Marie"]
    assert all(visible for _, visible in seen[: names.index("0:21.5: play Ann-Marie")])


def test_the_lanes_are_a_slider_that_says_where_it_is(page: Any) -> None:
    slider = page.get_by_role("slider", name="Position in the recording")
    assert slider.get_attribute("aria-valuemax") == "30"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuenow") == "5.0"
    assert slider.get_attribute("aria-valuetext") == "0:05.0 of 0:30.0, Bo Ek"
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert page.locator("thead th:not([scope])").count() == 0
    assert page.locator(".scroll:not([tabindex='0'][role=region][aria-label])").count() == 0


def test_speed_is_the_players(page: Any) -> None:
    page.get_by_label("Speed").select_option("1.5")
    assert page.evaluate("document.querySelector('audio').playbackRate") == 1.5


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_width_scrolls_sideways(
    show: Callable[..., Opened], page_file: Path, hostile_file: Path, long_file: Path, width: int
) -> None:
    for path in (page_file, hostile_file, long_file):
        page = show(path, width=width).page
        for curves in (False, True):
            page.get_by_label("LLR curves").set_checked(curves)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            outside = page.evaluate(
                "[...document.querySelectorAll('h1, h2, p, li, dd, .player > *, button, .stage, .scroll')].filter(each =>"
                " !each.closest('table') && each.getBoundingClientRect().right > innerWidth + 1).length"
            )
            assert outside == 0
        page.keyboard.press("+")
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [360, 1280])
def test_the_table_is_not_cut(show: Callable[..., Opened], page_file: Path, width: int) -> None:
    page = show(page_file, width=width).page
    assert page.eval_on_selector(".scroll", "each => each.scrollWidth <= each.clientWidth + 1")


def contrast(first: str, second: str) -> float:
    """Of two colours as WCAG 2 defines it."""

    def luminance(text: str) -> float:
        parts = [int(each) / 255 for each in re.findall(r"\d+", text)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_dark_and_light_are_two_pages_and_both_have_contrast(show: Callable[..., Opened], page_file: Path) -> None:
    seen = []
    for scheme in ("light", "dark"):
        page = show(page_file, scheme=scheme).page
        ground, surface = colour(page, "body", "backgroundColor"), colour(page, ".stage", "backgroundColor")
        for selector, on in (
            (".hint", ground), (".player output", ground), (".time span", ground), (".labels .lane-row", surface),
            (".voices .muted", surface), (".segments tbody button", surface), (".player label", ground),
        ):  # fmt: skip
            assert contrast(colour(page, selector, "color"), on) >= 4.5, (scheme, selector)
        assert contrast(colour(page, ".play", "color"), colour(page, ".play", "backgroundColor")) >= 4.5
        for lane in range(3):
            assert contrast(colour(page, f".lane-row[data-lane='{lane}'] path", "stroke"), surface) >= 3
        assert contrast(colour(page, ".cursor", "backgroundColor"), surface) >= 4.5
        seen.append((ground, surface, colour(page, ".bars path", "fill")))
    assert all(light != dark for light, dark in zip(*seen, strict=True))


def test_hostile_names_are_shown_and_do_not_run(show: Callable[..., Opened], hostile_file: Path) -> None:
    page = show(hostile_file).page
    until(page, READY)
    for _ in range(len(HOSTILE) + 2):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    assert page.locator(".player output .name").inner_text() == HOSTILE[0]
    for each in page.locator(".voices button").all():
        each.click()
    assert page.evaluate("window.ran") is None
    assert page.locator(".segments tbody tr").nth(1).locator("td").nth(1).inner_text() == HOSTILE[1]


def test_the_policy_refuses_scripts_that_are_not_the_pages(show: Callable[..., Opened], page_file: Path) -> None:
    changed = page_file.with_name("changed.html")
    text = page_file.read_text(encoding="utf-8")
    changed.write_text(text.replace("<main>", "<main><script>window.ran = 1</script>"), encoding="utf-8")
    opened = show(changed)
    assert opened.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in each for each in opened.complaints)
    opened.complaints.clear()


def test_without_a_script_it_is_read_and_the_browser_plays(show: Callable[..., Opened], page_file: Path) -> None:
    page = show(page_file, script=False).page
    assert page.locator("audio[controls]").is_visible()
    assert page.locator("button").count() == 0
    assert not page.locator(".player").is_visible()
    assert "Scripts are off here" in page.locator("noscript").inner_text()
    assert page.locator(".tick").first.is_visible()
    assert page.locator(".wave path").bounding_box()["width"] > 900
    bars = page.locator(".bars path").first.bounding_box()
    track = page.locator(".track").bounding_box()
    assert (bars["x"] - track["x"]) / track["width"] == pytest.approx(0.5 / 30, abs=0.003)
    assert bars["width"] / track["width"] == pytest.approx(29 / 30, abs=0.005)


def test_without_the_recording_lanes_and_table_are_used_all_the_same(
    show: Callable[..., Opened], silent_file: Path
) -> None:
    page = show(silent_file).page
    assert page.locator(".play").count() == 0
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert told(page) == "0:04.8 / 0:30.0"
    click_lane(page, 0, 11)
    assert told(page).startswith("0:09.5")
    page.locator(".segments tbody button").last.click()
    assert cursor(page) == pytest.approx(21.5, abs=0.05)
    assert page.locator(".segments tbody button").last.get_attribute("aria-label") == "0:21.5: go to Ann-Marie"


@pytest.mark.parametrize("sound", [False, True])
def test_nobody_speaks(show: Callable[..., Opened], tmp_path: Path, sound: bool) -> None:
    of = replace(meeting(), segments=(), message="nobody speaks", reason="no_speech", duration_seconds=3.0)
    page = show(written(tmp_path, "empty", of, sound=sound)).page
    if sound:
        until(page, READY)
    for key in ("ArrowDown", "ArrowUp", "+", "-", "End"):
        page.keyboard.press(key)
    assert told(page) == "0:03.0 / 0:03.0"
    assert "nobody speaks" in page.locator(".notes").inner_text()
    assert page.locator(".segments").count() == 0


def test_a_recording_that_could_not_be_read(show: Callable[..., Opened], tmp_path: Path) -> None:
    of = Timeline("x.wav", "undecided", None, "unreadable", "x.wav: no audio file", None, None)
    page = show(written(tmp_path, "unreadable", of, sound=False)).page
    page.keyboard.press("Space")
    assert "x.wav: no audio file" in page.locator(".notes").inner_text()
    assert page.locator(".stage").count() == 0


def test_five_thousand_segments_of_an_hour_are_used(show: Callable[..., Opened], long_file: Path) -> None:
    page = show(long_file).page
    assert page.locator(".segments tbody tr").count() == 5000
    starts = [each.start for each in long_meeting(windows=False).segments]
    page.locator(".segments tbody button").nth(2500).click()
    seen = page.evaluate("parseFloat(document.querySelector('[role=slider]').getAttribute('aria-valuenow'))")
    assert seen == pytest.approx(starts[2500], abs=0.06)
    page.get_by_label("LLR curves").check()
    for key in ["+"] * 12 + ["ArrowDown"] * 20 + ["-"] * 12:
        page.keyboard.press(key)
    assert page.locator("tr.current button").get_attribute("aria-current") == "true"
    assert page.locator("tr.current").evaluate("each => each.sectionRowIndex") == 2520
    page.locator(".voices button").first.click()
    assert page.locator(".segments tbody tr:visible").count() < 2000


def test_the_current_row_is_scrolled_to(show: Callable[..., Opened], long_file: Path) -> None:
    start = long_meeting(windows=False).segments[3000].start
    page = show(long_file, address=f"#t={start + 0.02:.3f}").page
    assert page.locator("tr.current").evaluate("each => each.sectionRowIndex") == 3000
    assert page.evaluate(
        """() => {
          const box = document.querySelector('.scroll').getBoundingClientRect();
          const row = document.querySelector('tr.current').getBoundingClientRect();
          return row.top >= box.top && row.bottom <= box.bottom;
        }"""
    )
    assert page.evaluate("scrollY") == 0  # the page itself stays


def test_a_segment_of_hours_is_hit_anywhere(show: Callable[..., Opened], tmp_path: Path) -> None:
    of = timeline([segment(100, 9000, "Ann"), segment(9100, 9101, "Bo Ek")], 10_000.0, windows=False)
    page = show(written(tmp_path, "lecture", of, sound=False)).page
    row = page.locator(".track .lane-row").first
    box = row.bounding_box()
    row.click(position={"x": box["width"] * 0.88, "y": box["height"] / 2})
    assert told(page).startswith("1:40.0")
    # a second of hours is less than a pixel, and is hit all the same
    row = page.locator(".track .lane-row").nth(1)
    row.click(position={"x": box["width"] * 0.9101, "y": box["height"] / 2})
    assert told(page).startswith("2:31:40.0")


def test_a_stretch_is_shown_on_the_files_clock(show: Callable[..., Opened], tmp_path: Path) -> None:
    samples = np.concatenate((np.zeros(20 * RATE, np.float32), np.clip(recording(meeting()), -1, 1)))
    sf.write(tmp_path / "a.flac", samples, RATE)
    path = tmp_path / "stretch.html"
    write_page(later(meeting(), 20.0), path, source=Recording(str(tmp_path / "a.flac"), start=20.0))
    page = show(path, address="#t=32.5").page
    until(page, f"Math.abs({NOW} - 12.5) < 0.02")
    assert told(page) == "0:32.5 / 0:50.0"
    assert cursor(page) == pytest.approx(12.5, abs=0.05)
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == "0:32.5 of 0:50.0, Ann-Marie"
    page.keyboard.press("Home")
    assert told(page) == "0:20.0 / 0:50.0"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert time_of(page) == pytest.approx(4.75, abs=0.01)
    assert page.locator("tr.current th").inner_text().endswith("0:24.8")


def test_on_paper_it_is_light_whole_and_without_buttons(show: Callable[..., Opened], page_file: Path) -> None:
    page = show(page_file, scheme="dark").page
    until(page, READY)
    page.keyboard.press("+")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert colour(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".player").is_visible()
    assert not page.locator("canvas").is_visible()
    assert page.locator(".wave").is_visible()
    assert page.locator(".track").bounding_box()["width"] <= page.locator(".view").bounding_box()["width"]
    assert page.eval_on_selector(".scroll", "each => each.scrollHeight <= each.clientHeight + 1")
