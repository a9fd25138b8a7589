"""The page of an evaluation in Chromium: nothing is fetched, nothing overflows, the script does what it says.

Chromium is the one that ``SPEAKERID_CHROMIUM`` names, or the first of the usual names on the path.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf
from report_results import made_up_results, renamed, tone
from test_report import HOSTILE

from speakerid.evaluation.report import render_report


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open a page from disk; at the end it must have asked for itself only, and complained about nothing."""
    contexts, shown = [], []

    def opened(text: str, *, width: int = 1280, scheme: str = "light", script: bool = True) -> Opened:
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        result = Opened(context.new_page())
        shown.append(result)
        result.page.on("console", lambda message: result.complaints.append(message.text))
        result.page.on("pageerror", lambda error: result.complaints.append(str(error)))
        result.page.on("request", lambda request: result.requests.append(request.url))
        result.page.goto(path.as_uri())
        return result

    yield opened
    for each in shown:
        assert each.complaints == []
        assert [url for url in each.requests[1:] if not url.startswith("data:")] == []
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def compared() -> dict[str, Any]:
    return made_up_results(seed=2, qualities=(3.0, 2.0), strangers=40, threshold=0.5, undecided=2)


@pytest.fixture(scope="module")
def large() -> dict[str, Any]:
    return made_up_results(seed=3, qualities=(4.2,), n_speakers=250, tests_each=4, strangers=30)


def colour(page: Any, selector: str, which: str) -> str:
    return str(page.eval_on_selector(selector, f"each => getComputedStyle(each).{which}"))


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_no_width_scrolls_sideways(show: Callable[..., Opened], compared: Any, large: Any, width: int) -> None:
    long = {f"speaker {i:03d}": f"{'averylongname' * 12}{i}" for i in range(6)} | {"default": "s" * 120}
    paths = {each["path"]: "folder/" * 30 + each["path"] for each in compared["trials"]}
    for text in (render_report(compared), render_report(large), render_report(renamed(compared, long | paths))):
        page = show(text, width=width).page
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        outside = page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, p, figure, .tile, .scroll, canvas, dd, svg')].filter(each =>"
            " !each.closest('.scroll .scroll, table') && each.getBoundingClientRect().right > innerWidth + 1).length"
        )
        assert outside == 0


@pytest.mark.parametrize("width", [1280, 1400])
def test_no_table_that_could_fit_is_cut(show: Callable[..., Opened], large: Any, width: int) -> None:
    four = made_up_results(
        seed=2, qualities=(3.0, 2.5, 2.0, 2.8), n_speakers=8, strangers=20, threshold=0.5, undecided=2
    )
    names = {f"speaker {i:03d}": f"Firstname Lastname {i}" for i in range(8)}
    paths = {each["path"]: f"corpus/{'a-long-folder/' * 6}{n}.wav" for n, each in enumerate(four["trials"])}
    left_out = made_up_results(seed=5, n_speakers=12, left_out=True)
    clip = dict.fromkeys(four["hardest"], b"fLaC")
    for results, clips in ((renamed(four, names | paths), clip), (left_out, {}), (large, {})):
        opened = show(render_report(results, clips=clips), width=width)
        opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        cut = opened.page.eval_on_selector_all(
            ".scroll",
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.getAttribute('aria-label'))",
        )
        assert cut == []


def test_wide_pages_use_the_width_and_narrow_ones_stack(show: Callable[..., Opened], compared: Any) -> None:
    def tiles_in_a_row(width: int) -> int:
        page = show(render_report(compared), width=width).page
        tops = page.eval_on_selector_all(".tile", "all => all.map(each => each.getBoundingClientRect().top)")
        return int(tops.count(tops[0]))

    assert tiles_in_a_row(1400) == 4
    assert tiles_in_a_row(360) == 1


def test_dark_and_light_are_two_pages_and_two_sets_of_pictures(show: Callable[..., Opened], compared: Any) -> None:
    seen = []
    for scheme in ("light", "dark"):
        page = show(render_report(compared), scheme=scheme).page
        line = "#det path[style*='--system-0']"
        seen.append(
            (
                colour(page, "body", "backgroundColor"),
                colour(page, "body", "color"),
                colour(page, line, "stroke"),
                colour(page, "#det text", "fill"),
                colour(page, ".heat .hit", "backgroundColor"),
            )
        )
    assert all(light != dark for light, dark in zip(*seen, strict=True))
    brightness = [sum(map(int, re.findall(r"\d+", each[0])[:3])) for each in seen]
    assert brightness[0] > 600
    assert brightness[1] < 150


def test_pictures_are_drawn_in_the_pages_font_and_large_enough_on_a_telephone(
    show: Callable[..., Opened], compared: Any
) -> None:
    page = show(render_report(compared), width=360).page
    assert colour(page, "#cmc text", "fontFamily") == colour(page, "body", "fontFamily")
    heights = page.eval_on_selector_all("svg.drawn text", "all => all.map(e => e.getBoundingClientRect().height)")
    assert len(heights) > 50
    assert min(heights) >= 9
    overlapping = page.eval_on_selector_all(
        "svg.drawn",
        """all => all.flatMap(svg => {
          const texts = [...svg.querySelectorAll('text')].map(each => [each.textContent, each.getBoundingClientRect()]);
          return texts.flatMap(([a, p], i) => texts.slice(i + 1).filter(([b, q]) =>
            p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3
          ).map(([b]) => `${svg.parentElement.id}: ${a} / ${b}`));
        })""",
    )
    assert overlapping == []


def column(page: Any, table: str, number: int) -> list[str]:
    cells = page.locator(f"{table} tbody tr:not([hidden]) > :nth-child({number})")
    return [" ".join(text.split()) for text in cells.all_inner_texts()]


def test_tables_sort_by_click_and_by_key(show: Callable[..., Opened], large: Any) -> None:
    page = show(render_report(large)).page
    pairs = "#confusions .halves > div:nth-child(1) table"
    times = page.locator(f"{pairs} thead th").nth(2)
    speaker = page.locator(f"{pairs} thead th").nth(0)
    before = column(page, pairs, 1)
    speaker.locator("button").click()
    assert speaker.get_attribute("aria-sort") == "ascending"
    assert column(page, pairs, 1) == sorted(before)
    assert column(page, pairs, 1) != before
    times.locator("button").focus()
    page.keyboard.press("Enter")
    counts = [int(n) for n in column(page, pairs, 3)]
    assert counts == sorted(counts, reverse=True)
    assert times.get_attribute("aria-sort") == "descending"
    assert speaker.get_attribute("aria-sort") is None
    page.keyboard.press("Space")
    assert [int(n) for n in column(page, pairs, 3)] == sorted(counts)


def test_what_is_missing_sorts_last_either_way(show: Callable[..., Opened], compared: Any) -> None:
    results = compared | {"per_speaker": [{**each} for each in compared["per_speaker"]]}
    results["per_speaker"][2]["precision"] = None
    page = show(render_report(results)).page
    people = "#confusions > .halves > div:nth-child(2) table"
    for _ in range(2):
        page.locator(f"{people} thead th").nth(2).locator("button").click()
        values = column(page, people, 3)
        assert values[-1] == "–"
        assert values.count("–") == 1
    assert [float(v[:-1]) for v in values[:-1]] == sorted(float(v[:-1]) for v in values[:-1])


def test_tables_are_filtered(show: Callable[..., Opened], large: Any) -> None:
    page = show(render_report(large)).page
    page.get_by_label("Find a speaker in: Every speaker").fill("Speaker 12")
    assert sorted(column(page, "#confusions .halves > div:nth-child(2) table", 1)) == [
        f"speaker {i}" for i in range(120, 130)
    ]
    assert page.locator(".filter output").nth(1).inner_text() == "10 of 250 rows"


def test_the_large_matrix_tells_what_is_under_the_pointer(show: Callable[..., Opened], large: Any) -> None:
    page = show(render_report(large), width=1400).page
    canvas = page.locator(".drawn-matrix canvas")
    canvas.scroll_into_view_if_needed()
    labels, counts = large["confusion"]["labels"], large["confusion"]["counts"]
    shown = len(labels)
    told = page.locator(".drawn-matrix output")
    size = canvas.evaluate("each => each.clientWidth")

    def point(row: int, column: int) -> str:
        canvas.hover(position={"x": 1 + (column + 0.5) * size / shown, "y": 1 + (row + 0.5) * size / shown})
        return str(told.inner_text())

    row, wrong = next((i, j) for i, line in enumerate(counts) for j, n in enumerate(line) if n and i != j and i < 250)
    total = sum(counts[row])
    assert f"{labels[row]} was taken for {labels[wrong]} in {counts[row][wrong]} of {total} " in point(row, wrong)
    listed = page.locator(".around ul").nth(0).inner_text().splitlines()
    assert sorted(listed) == sorted(f"{labels[j]} {n}" for j, n in enumerate(counts[row]) if n and j != row)
    assert f"{labels[row]} was recognised in {counts[row][row]} of {total} " in point(row, row)
    pixel = (
        "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData("
        "Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data]"
    )
    page.mouse.move(0, 0)
    middle = (next(i for i in range(100, 250) if counts[i][i] == sum(counts[i])) + 0.5) / shown
    red, _green, blue, _ = canvas.evaluate(pixel, [middle, middle])
    assert blue > red + 60


def test_the_large_matrix_is_read_by_keyboard_and_zoomed(show: Callable[..., Opened], large: Any) -> None:
    page = show(render_report(large)).page
    page.locator(".drawn-matrix canvas").focus()
    told = page.locator(".drawn-matrix output")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    counts = large["confusion"]["counts"]
    assert (
        told.inner_text() == f"speaker 001 was taken for speaker 002 in {counts[1][2]} of {sum(counts[1])} recordings."
    )
    farther = page.get_by_role("button", name="Farther")
    assert farther.is_disabled()
    for _ in range(6):
        page.keyboard.press("+")
    assert page.get_by_role("button", name="Closer").is_disabled()
    farther.click()
    assert not page.get_by_role("button", name="Closer").is_disabled()
    page.get_by_label("Order:").select_option("recall")
    page.locator(".drawn-matrix canvas").focus()
    page.keyboard.press("ArrowDown")
    worst = min(range(250), key=lambda i: (counts[i][i] / sum(counts[i]), i))
    assert told.inner_text().startswith(f"speaker {worst:03d} was recognised")


def test_the_small_matrix_is_a_table_whose_colours_tell(show: Callable[..., Opened], compared: Any) -> None:
    page = show(render_report(compared)).page
    ground = colour(page, ".heat .none", "backgroundColor")
    assert (
        len({ground, colour(page, ".heat .hit", "backgroundColor"), colour(page, ".heat .miss", "backgroundColor")})
        == 3
    )
    assert page.locator(".heat").first.locator("tbody th[scope=row]").count() == 7


def test_an_embedded_recording_plays(show: Callable[..., Opened], compared: Any) -> None:
    file = io.BytesIO()
    sf.write(file, tone(1.5), 16000, format="FLAC", subtype="PCM_16")
    page = show(render_report(compared, clips={compared["hardest"][0]: file.getvalue()})).page
    page.wait_for_function("document.querySelector('audio').readyState >= 1")
    assert page.eval_on_selector("audio", "each => each.duration") == pytest.approx(1.5, abs=0.01)


def test_hostile_names_are_shown_and_do_not_run(show: Callable[..., Opened], compared: Any) -> None:
    page = show(render_report(renamed(compared, HOSTILE))).page
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.locator("thead button").first.click()
    assert page.evaluate("window.ran") is None
    assert page.title().startswith("<!-- voices --><title>")
    assert "<script>window.ran = 1</script>" in column(page, ".heat >> nth=0 >>", 1)


def test_hostile_names_do_not_run_in_a_large_matrix(show: Callable[..., Opened]) -> None:
    results = made_up_results(seed=3, n_speakers=40, tests_each=3)
    page = show(render_report(renamed(results, HOSTILE))).page
    page.locator(".drawn-matrix canvas").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".drawn-matrix output b").first.inner_text() == HOSTILE["speaker 000"]
    assert page.evaluate("window.ran") is None


def test_the_policy_refuses_scripts_that_are_not_the_pages(show: Callable[..., Opened], compared: Any) -> None:
    text = render_report(compared).replace("<main>", "<main><script>window.ran = 1</script>")
    opened = show(text)
    assert opened.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in each for each in opened.complaints)
    opened.complaints.clear()


def test_everything_can_be_read_without_a_script(show: Callable[..., Opened], large: Any) -> None:
    page = show(render_report(large), script=False).page
    assert page.locator("svg.drawn").count() >= 8
    assert "scripts are off here" in page.locator(".drawn-matrix noscript").inner_text()
    assert page.locator("#confusions tbody tr").count() == len(large["worst_pairs"]) + 250
    assert page.locator("button").count() == 0


def test_on_paper_it_is_light_and_unfolded(show: Callable[..., Opened], compared: Any) -> None:
    page = show(render_report(compared), scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert colour(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert colour(page, ".scroll", "maxHeight") == "none"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == page.locator(".plate details").count() > 0
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    cut = "all => all.filter(each => each.scrollHeight > each.clientHeight + 1).length"
    assert page.eval_on_selector_all(".scroll", cut) == 0


def test_headings_tables_and_pictures_are_named(show: Callable[..., Opened], compared: Any) -> None:
    page = show(render_report(compared)).page
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.locator("thead th:not([scope])").count() == 0
    assert page.locator("svg[role=img]:not([aria-label])").count() == 0
    # what scrolls can be reached and is named
    assert page.locator(".scroll:not([tabindex='0'][role=region][aria-label])").count() == 0
