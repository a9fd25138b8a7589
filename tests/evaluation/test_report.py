"""The page of an evaluation as text; in a browser: test_report_browser."""

from __future__ import annotations

import base64
import copy
import html
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from report_results import made_up_results, renamed

import speakerid.evaluation.report
from speakerid.evaluation.report import render_report
from speakerid.evaluation.report.words import digits_of, pair, percent, rate, seconds, visible

NARROW = "\N{NARROW NO-BREAK SPACE}"
HOSTILE = {
    "speaker 000": "<script>window.ran = 1</script>",
    "speaker 001": "\"'&<img src=x onerror='window.ran = 2'>",
    "speaker 002": "</script><script>window.ran = 3</script>",
    "speaker 003": "a" * 300,
    "speaker 004": "\u202eדוברת עברית",
    "speaker 005": "two\nlines\x1b[31m {{ 7 * 7 }} $\\frac{1}{2}$",
    "tests/0017.wav": "tests/<b onclick='window.ran = 4'>&amp;\udce9.wav",
    "default": "<i>default</i>",
    "voices": "<!-- voices --><title>",
    "2 speakers are enrolled only": "<svg onload='window.ran = 5'>",
}


class Page(HTMLParser):
    """The text of a page, its elements, and what is in its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self._within: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & {*self._within}:
            return
        self.texts.append(data)
        if {"td", "th"} & {*self._within}:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())

    def attributes(self, name: str) -> list[str]:
        return [each[name] or "" for _tag, each in self.elements if name in each]


@pytest.fixture(scope="module")
def open_set() -> dict[str, Any]:
    return made_up_results(seed=2, qualities=(3.0, 2.0), strangers=40, threshold=0.5, undecided=2)


@pytest.fixture(scope="module")
def page(open_set: dict[str, Any]) -> str:
    return render_report(open_set)


def hundredths(*values: float) -> list[str]:
    """Independent of the code: all with one digit, or with two where one is beyond 1 or 99 of a hundred."""
    beyond = [v for v in values if 0 < v < 0.01 or 0.99 < v < 1]
    return [f"{100 * v:.{2 if beyond else 1}f}" for v in values]


def test_every_headline_figure_is_shown_with_its_interval(open_set: dict[str, Any], page: str) -> None:
    text = Page(page).text.replace(NARROW, " ")
    verification, strangers = open_set["verification"], open_set["open_set"]
    fars = {far: strangers[f"dir_at_far_{far}pct"] for far in (1, 5, 10)}
    rates = [
        (open_set["top1"], open_set["top1_ci95"], open_set["top1_ci95_bootstrap"]),
        (verification["eer"], verification["eer_ci95"], []),
        (strangers["eer"], strangers["eer_ci95"], []),
        (fars[1], strangers["dir_at_far_1pct_ci95"], [fars[5], fars[10]]),
        (strangers["strangers_named"], strangers["strangers_named_ci95"], []),
    ]
    for share, ends, others in rates:
        value, low, high, *_ = hundredths(share, *ends, *others)
        assert f"{value} % 95 % : {low} to {high} %" in text
    for key in ("min_dcf", "cllr"):
        low, high = verification[f"{key}_ci95"]
        assert f"{verification[key]:.3f} 95 % : {low:.3f} to {high:.3f}" in text
    _, _, _, low, high = hundredths(open_set["top1"], *open_set["top1_ci95"], *open_set["top1_ci95_bootstrap"])
    assert f"Resampling speakers and recordings: {low} to {high} %" in text
    low, high = verification["min_cllr_ci95"]
    assert f"{verification['min_cllr']:.3f} bits ({low:.3f} to {high:.3f})" in text
    assert f"taken as likelihood ratios: {verification['act_dcf']:.3f}" in text
    assert f"NIST SRE 2008: {verification['min_dcf_sre2008']:.3f}" in text
    _, _, _, *among = hundredths(fars[1], *strangers["dir_at_far_1pct_ci95"], fars[5], fars[10])
    for far, share in zip((5, 10), among, strict=True):
        assert f"When {far} of 100 may: {share} %" in text
    refused, low, high = hundredths(strangers["known_refused"], *strangers["known_refused_ci95"])
    assert f"Enrolled speakers turned away: {refused} % ({low} to {high} %)" in text
    assert f"{round(open_set['top1'] * open_set['n_known'])} of 60 recordings of enrolled speakers fit" in text
    assert "2 could not be judged (too short: 2)" in text
    assert text.count("Score: log-likelihood less that of the best other speaker enrolled.") == 2
    assert "a threshold is compared: log-likelihood less that of the best other speaker enrolled." in text


def test_five_of_few_speakers_are_no_figure(page: str) -> None:
    assert "top-5" not in page
    many = Page(render_report(made_up_results(seed=5, n_speakers=11, tests_each=3))).text
    assert "Right speaker among the first five" in many
    ten = Page(render_report(made_up_results(seed=5, n_speakers=10, tests_each=3))).text
    assert "Right speaker among the first five" not in ten


def test_refusals_are_told_without_strangers() -> None:
    results = made_up_results(seed=1, threshold=0.5)
    value, low, high = hundredths(results["known_refused"], *results["known_refused_ci95"])
    text = Page(render_report(results)).text.replace(NARROW, " ")
    assert f"Enrolled speakers turned away at the threshold in use, 0.500 {value} % 95 % : {low} to {high} %" in text


def test_systems_are_compared_with_differences(open_set: dict[str, Any], page: str) -> None:
    rows = {row[0]: row for row in Page(page.replace(NARROW, " ")).rows if len(row) == 3}
    difference, test = open_set["differences"][0]["figures"]["top1"], open_set["differences"][0]["mcnemar"]
    low, high = difference["ci95"]
    other = open_set["other_systems"][0]
    one, two, *_ = hundredths(open_set["top1"], other["top1"], *open_set["top1_ci95"], *other["top1_ci95"])
    digits = len(one.split(".")[1])
    first, second = rows["Right speaker first (top-1) higher is better"][1:]
    assert first.startswith(f"{one} %")
    assert second.startswith(f"{two} %")
    assert f"−{abs(100 * difference['difference']):.{digits}f} points" in second
    assert ("worse" in second) == (difference["p_value"] < 0.05)
    assert f"−{abs(100 * low):.{digits}f} to {'−' if high < 0 else '+'}{abs(100 * high):.{digits}f}" in second
    assert f"{test['only_system']} right only here, {test['only_baseline']} only by default" in second
    assert test["p_value"] == difference["p_value"]
    assert page.count("McNemar") == 1
    assert second.count("p = ") + second.count("p < ") == 1
    assert set(re.findall(r"DejaVu|#0[0-9]0[0-9]0[0-9]|#a0b0c", page)) == set()
    assert "var(--system-1)" in page


@pytest.mark.parametrize(
    ("p", "test", "written"),
    [
        (1.2e-9, "McNemar", "p < 0.001"),
        (0.002, "McNemar", "p = 0.002"),
        (0.002, "paired bootstrap", "p ≤ 0.002"),
        (0.004, "paired bootstrap", "p = 0.004"),
        (1.0, "paired bootstrap", "p = 1.00"),
    ],
)
def test_no_p_is_nothing(open_set: dict[str, Any], p: float, test: str, written: str) -> None:
    results = copy.deepcopy(open_set)
    results["intervals"]["replicates"] = 1000
    results["differences"][0]["figures"]["top1"] |= {"p_value": p, "test": test}
    assert f"; {html.escape(written)}</small>" in render_report(results)


def test_the_confusion_matrix_has_every_count(open_set: dict[str, Any], page: str) -> None:
    labels, counts = open_set["confusion"]["labels"], open_set["confusion"]["counts"]
    assert labels[-2:] == ["unknown", "undecided"]
    rows = Page(page).rows
    start = next(i for i, row in enumerate(rows) if row[0] == "speaker" and row[-1] == "recordings")
    assert rows[start] == ["speaker", *labels, "recordings"]
    for i, label in enumerate(labels[:-1]):  # nobody is really undecided
        assert rows[start + 1 + i] == [label, *map(str, counts[i]), str(sum(counts[i]))]


def test_tables_of_speakers_pairs_and_recordings(open_set: dict[str, Any], page: str) -> None:
    rows = [[cell.replace(NARROW, " ") for cell in row] for row in Page(page).rows]
    pairs = open_set["worst_pairs"]
    shares = hundredths(*(each["share"] for each in pairs))
    for each, share in zip(pairs, shares, strict=True):
        assert [each["speaker"], each["decision"], str(each["count"]), f"{share} %"] in rows
    recalls = hundredths(*(each["recall"] for each in open_set["per_speaker"]))
    for each, recall in zip(open_set["per_speaker"], recalls, strict=True):
        found = next(row for row in rows if len(row) == 7 and row[0] == each["speaker"])
        assert found[1] == f"{recall} %"
        assert found[3:6] == [str(each["n_tests"]), str(each["n_decided"]), str(each["n_right"])]
        assert found[6] == f"{each['enrolled_seconds']:.1f} s"
    hardest = open_set["trials"][open_set["hardest"][0]]
    row = next(row for row in rows if row[0] == "1" and f"tests/{row[1]}" == hardest["path"])
    assert f'title="{hardest["path"]}"' in page
    best, second = hardest["best"]
    assert row[3] == f"{'✓ right' if hardest['right'] else '✗ wrong'} {hardest['decision'] or 'unknown'}"
    assert row[4] == " ".join(f"{b['speaker']} −{abs(b['log_likelihood']):.2f}" for b in (best, second))
    assert row[7] == f"{hardest['speech_seconds']:.{2 if hardest['speech_seconds'] < 10 else 1}f} s"
    assert ["0000.wav", "speaker 000", "too short", "only 0.05 s of speech"] in rows
    assert ["enrol/x.wav", "no speech", "no speech found"] in rows
    assert ["enrol/notes.txt", "not read", "is no recording"] in rows


def test_wrong_answers_are_counted(open_set: dict[str, Any], page: str) -> None:
    wrong = [each for each in open_set["trials"] if not each["right"]]
    n = sum(each["known"] for each in wrong)
    assert (
        f"Of 100 answers {len(wrong)} are wrong : {n} about an enrolled speaker, {len(wrong) - n} about"
        in Page(page).text
    )
    right = sum(open_set["trials"][i]["right"] for i in open_set["hardest"])
    assert page.count("✓ right") == 1 + right


@pytest.mark.parametrize(
    "kind", [{"strangers": 40, "threshold": 0.5}, {"left_out": True}], ids=["strangers", "left out"]
)
def test_whom_strangers_are_taken_for(kind: dict[str, Any]) -> None:
    results = made_up_results(seed=5, n_speakers=12, tests_each=6, **kind)
    strangers = [each for each in results["trials"] if not each["known"]]
    head = ["speaker left out" if "left_out" in kind else "stranger", "named as", "times", "of its recordings"]
    if "strangers" in kind:
        assert head not in Page(render_report(results)).rows, "without names they are a row of the confusion matrix"
        for number, each in enumerate(strangers):
            each["speaker"] = f"stranger {number % 7}"
    named = Counter((each["speaker"], each["decision"]) for each in strangers if each["decision"])
    page = Page(render_report(results))
    start = page.rows.index(head) + 1
    n = min(len(named), 50)
    rows = page.rows[start : start + n]
    assert [int(row[2]) for row in rows] == sorted(named.values(), reverse=True)[:n]
    assert {(row[0], row[1]): int(row[2]) for row in rows}.items() <= named.items()
    assert f"{named.total()} of {len(strangers)} questions about" in page.text
    # the confusion matrix has a row of strangers only with strangers of the protocol
    assert ("Recordings of strangers are the row “unknown”" in page.text) == ("strangers" in kind)
    assert head not in Page(render_report(made_up_results(seed=1))).rows


def test_recordings_that_are_undecided_and_not_used_stand_once(open_set: dict[str, Any]) -> None:
    results = copy.deepcopy(open_set)
    lost = results["trials"][0]
    results["problems"] = [{key: lost[key] for key in ("path", "reason", "message")}]
    results["other_systems"][0]["problems"] = [dict(results["problems"][0], message=f"{lost['path']}: was cut off")]
    rows = [row for row in Page(render_report(results)).rows if row[0] == "0000.wav"]
    assert rows == [
        ["0000.wav", "speaker 000", "too short", "only 0.05 s of speech nothing was learnt from it either"],
        ["0000.wav", "too short", "was cut off"],
    ]


def test_paths_are_shown_within_their_common_folder(open_set: dict[str, Any]) -> None:
    def shown(folders: tuple[str, ...]) -> set[str]:
        results = copy.deepcopy(open_set)
        for number, each in enumerate(results["trials"]):
            each["path"] = folders[number % len(folders)] + each["path"].removeprefix("tests/")
        text = render_report(results)
        return set(re.findall(r'<bdi class="path" title="[^"]*\d{4}\.wav">(.*?)\d{4}\.wav</bdi>', text))

    assert shown(("/data/voices/",)) == {""}
    assert shown(("/data/one/", "/data/once/")) == {"one/", "once/"}
    assert shown(("/one/", "/two/")) == {"/one/", "/two/"}
    assert shown(("D:\\voices\\a\\", "D:\\voices\\b\\")) == {"a\\", "b\\"}


def test_settings_that_differ_from_the_defaults_are_marked(page: str) -> None:
    assert '<code>cepstra</code></th><td><code>20</code></td><td class="changed"><code>13</code></td>' in page
    page_of = Page(page.replace(NARROW, " "))
    assert ["analysing", "1.25 s 800 × real time", "1.25 s 800 × real time"] in page_of.rows
    assert ["all", "3.75 s 267 × real time", "3.75 s 267 × real time"] in page_of.rows
    for said in ("ab" * 32, "speakerid evaluate voices.csv", "2026-11-22 15:07 UTC", "50 times", "3.11.7"):
        assert said in page_of.text


def test_the_same_results_give_the_same_bytes(open_set: dict[str, Any], page: str) -> None:
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 40, "svg.fonttype": "path"}):
        again = render_report(json.loads(json.dumps(open_set)))
    assert again == page


def test_another_process_gives_the_same_bytes(open_set: dict[str, Any], page: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(open_set))
    code = (
        "import json, sys, pathlib\n"
        "from speakerid.evaluation.report import render_report\n"
        "assert not {'matplotlib', 'jinja2'} & {*sys.modules}, 'the page is not yet asked for'\n"
        "text = render_report(json.loads(pathlib.Path('results.json').read_text()))\n"
        "pathlib.Path('page.html').write_text(text, encoding='utf-8')"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_nothing_refers_outside(page: str) -> None:
    parsed = Page(page)
    for name in ("src", "href", "srcset", "action", "data", "poster"):
        assert [each for each in parsed.attributes(name) if not each.startswith(("#", "data:"))] == []
    assert {tag for tag, _ in parsed.elements} & {"link", "iframe", "object", "embed", "base", "img"} == set()
    assert re.findall(r"@import|url\((?!#)|https?://(?!www\.w3\.org)", page) == []
    policy = next(each["content"] for tag, each in parsed.elements if tag == "meta" and "http-equiv" in each) or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]


def test_identifiers_are_unique_and_references_lead_somewhere(page: str) -> None:
    parsed = Page(page)
    ids = parsed.attributes("id")
    assert len(ids) == len(set(ids)) > 20
    targets = {each[1:] for each in parsed.attributes("href") if each.startswith("#")}
    assert (targets | set(re.findall(r"url\(#([^)]+)\)", page))) <= set(ids)


def test_names_are_text_and_nothing_else(open_set: dict[str, Any], page: str) -> None:
    text = render_report(renamed(open_set, HOSTILE))
    hostile, plain = Page(text), Page(page)
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert {name for _, each in hostile.elements for name in each} == {n for _, each in plain.elements for n in each}
    for name in HOSTILE.values():
        # paths are shown within their folder
        assert " ".join(visible(name).removeprefix("tests/").split()) in hostile.text
    text.encode("utf-8")
    assert "\x1b" not in text
    assert html.escape("<script>window.ran") in text


def test_a_large_matrix_is_data_that_cannot_end_its_script(open_set: dict[str, Any]) -> None:
    results = made_up_results(seed=3, n_speakers=40, tests_each=3, strangers=5)
    names = {f"speaker {i:03d}": f"</script><script>window.ran = {i}</script>" for i in range(40)}
    text = render_report(renamed(results, names))
    islands = re.findall(r'<script type="application/json" id="matrix-0">(.*?)</script>', text, re.DOTALL)
    assert len(islands) == 1
    island = json.loads(islands[0])
    assert island["labels"] == [*names.values(), "unknown"]
    counts = results["confusion"]["counts"]
    assert sorted(island["cells"]) == [[i, j, n] for i, row in enumerate(counts) for j, n in enumerate(row) if n]


def test_what_is_not_there_is_explained_or_left_out() -> None:
    closed = Page(render_report(made_up_results(seed=1))).text
    assert "No stranger was tested" in closed
    assert "Stranger or enrolled?" not in closed
    assert "Systems compared" not in closed
    assert "Undecided recordings" not in closed
    assert "All settings are the defaults" in closed
    listed = Page(render_report(made_up_results(seed=4, listed=True))).text
    assert "The protocol is a list of trials" in listed
    assert "No stranger was tested" not in listed
    assert "Who was taken for whom" not in listed
    assert "Hardest recordings" not in listed
    assert "models" in listed
    assert "speakers enrolled" not in listed
    assert "people, as far as target trials connect recordings and models" in listed
    nothing = Page(render_report({})).text
    assert "There are no figures" in nothing
    perfect = Page(render_report(made_up_results(seed=6, qualities=(30.0,)))).text
    assert "Nobody was taken for somebody else" in perfect
    assert "There is a threshold without an error" in perfect
    huge = made_up_results(seed=1)
    huge["confusion"]["counts"] = None
    assert "is no longer a thing to read" in Page(render_report(huge)).text


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("gone", ["none", "missing"])
def test_a_page_is_made_whatever_is_missing(open_set: dict[str, Any], part: int, gone: str) -> None:
    """Each key of the results is missing in one of the parts."""
    results = copy.deepcopy(open_set)
    # a deep key first: what it is in may go too
    for place in sorted(places(results), key=len, reverse=True)[part::8]:
        *way, key = place
        within = results
        for step in way:
            within = within[step]
        if gone == "none":
            within[key] = None
        else:
            del within[key]
    assert "</html>" in render_report(results)


def places(values: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of every key, and those of the first dictionary in a list."""
    if isinstance(values, list):
        return places(values[0], (*way, 0)) if values and isinstance(values[0], dict) else []
    if not isinstance(values, dict):
        return []
    found = []
    for key, value in values.items():
        if key == "config" and way:
            continue
        found += [(*way, key), *places(value, (*way, key))]
    return found


def test_a_clip_becomes_a_player(open_set: dict[str, Any]) -> None:
    number = open_set["hardest"][3]
    text = render_report(open_set, clips={number: b"fLaC and more"})
    players = [each for tag, each in Page(text).elements if tag == "audio"]
    assert [each["aria-label"] for each in players] == [open_set["trials"][number]["path"]]
    kind, data = (players[0]["src"] or "").split(";base64,")
    assert (kind, base64.b64decode(data)) == ("data:audio/flac", b"fLaC and more")
    assert "--embed-audio" not in text
    assert "--embed-audio" in render_report(open_set)


def test_numbers_are_written_for_people() -> None:
    assert [rate(v) for v in (0, 1, 0.5, 0.0054, 0.9996, 0.0778, None, float("nan"))] == [
        "0.0", "100.0", "50.0", "0.54", "99.96", "7.8", "–", "–",
    ]  # fmt: skip
    assert rate(0.05, signed=True) == "+5.0"
    assert rate(-0.05, signed=True) == "−5.0"
    assert percent(0.25) == f"25.0{NARROW}%"
    assert pair([0.8, 0.9]) == f"80.0 to 90.0{NARROW}%"
    assert pair([-0.1, 0.25], is_rate=False, signed=True) == "−0.100 to +0.250"
    assert pair([0.963, 0.9988]) == f"96.30 to 99.88{NARROW}%"
    assert pair([0, 0.042]) == f"0.0 to 4.2{NARROW}%"
    assert [rate(v, 1, signed=True) for v in (-0.0001, 0.0001, 0.0)] == ["0.0", "0.0", "0.0"]
    assert digits_of(0.5, [0.2, 0.8], None, 0, 1) == 1
    assert digits_of(0.5, [0.2, 0.995], None) == 2
    assert pair(None) is None
    assert pair([0.1, None]) is None
    assert [seconds(v) for v in (0.5, 11.74, 600, 7200)] == ["0.50 s", "11.7 s", "10.0 min", "2.0 h"]


def contrast(first: str, second: str) -> float:
    """Of two colours #rrggbb, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def themes() -> list[dict[str, str]]:
    """The colours of the style sheet, light and dark."""
    style = (Path(speakerid.evaluation.report.__file__).parent / "style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    found = []
    for block in blocks:
        colours = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", block))
        for name, values in re.findall(r"(--[\w-]+): (\d+, \d+, \d+);", block):
            colours[name] = "#" + "".join(f"{int(v):02x}" for v in values.split(","))
        found.append(colours)
    return found


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_is_enough_in_both_themes(theme: int) -> None:
    assert len(themes()) == 2
    assert themes()[0].keys() == themes()[1].keys()
    colours = themes()[theme]
    for text in ("--ink", "--muted", "--accent", "--good", "--bad"):
        for ground in ("--page", "--surface"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for ground in ("--hit", "--miss", "--changed"):
        assert contrast(colours["--ink"], colours[ground]) >= 4.5, ground
    for text in ("--ink", "--muted", "--good"):
        assert contrast(colours[text], colours["--right"]) >= 4.5, text
    lines = [name for name in colours if name.startswith("--system-")]
    for line in (*lines, "--target", "--nontarget"):
        assert contrast(colours[line], colours["--surface"]) >= 3, line
    assert len(lines) == 6
