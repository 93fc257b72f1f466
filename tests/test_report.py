"""The page about a run: what it says, that it is whole HTML, and how it is written."""

import base64
import os
import re
import stat
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from pictures import VALLEY, falling, range_test, swept

import lrcore
from lrcore import report
from lrcore.report import _html, _words

VOID = {"meta", "img", "br", "link", "input", "hr"}
ONCE = {"html", "head", "body", "main", "title", "h1", "style", "header"}


class Page(HTMLParser):
    """Checks nesting while it reads; keeps text by element, images and tables."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.counts, self.images, self.cards = [], {}, [], []
        self.texts, self.tables, self.all = {}, [], ""
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        assert not {"onclick", "onload", "srcdoc"} & set(attrs)
        if tag == "img":
            self.images.append(attrs)
        if "card" in attrs.get("class", "").split():
            self.cards.append(attrs["class"])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> ends nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data):
        inner = self.stack[-1] if self.stack else ""
        self.texts.setdefault(inner, []).append(data)
        self.all += f"{data} "
        if inner in ("td", "th"):
            self.tables[-1][-1][-1] += data

    @property
    def text(self):
        kept = (" ".join(texts) for tag, texts in self.texts.items() if tag != "style")
        return " ".join(" ".join(kept).split())


def written(path, **parts):
    text = report.write(path, **{"title": "A run", **parts}).read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    outside = re.sub(r'src="data:[^"]*"', "", text)
    assert not re.search(r"https?:|//|url\(|@import|<script|<link", outside)
    page = Page(text)
    assert all(page.counts[tag] == 1 for tag in ONCE)
    return page


def squeezed(text):
    return "".join(text.split())


def diagnosed(**more):
    losses = falling(2000)
    losses[1400:] += np.linspace(0, 3, 600)
    return losses, lrcore.diagnose(losses, lrs=np.full(2000, 0.1), **more)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_everything_is_on_the_page(tmp_path, lang):
    losses, found = diagnosed()
    test = range_test()
    page = written(
        tmp_path / "report.html",
        title="Digits",
        diagnosis=found,
        losses=losses,
        lrs=np.full(2000, 0.1),
        find=test,
        sweep=swept(VALLEY),
        numbers={"accuracy": 0.97125, "updates": 12_345, "last": {"loss": float("nan")}},
        settings={"optimizer": "AdamW", "lr": 0.1},
        lang=lang,
    )
    words = _words.WORDS[lang]
    assert page.texts["h1"] == ["Digits"]
    sections = ("run", "findings", "find", "sweep", "numbers", "settings", "versions")
    assert page.texts["h2"] == [words[name] for name in sections]
    said = found.text(lang).splitlines()[0]
    assert said in page.text
    assert found.verdict == "diverged"
    for one in found.findings:
        assert squeezed(one.text(lang)) in squeezed(page.all)
        assert one.advice(lang) in page.text
    advice = lrcore.diagnose(losses, lang=lang).advice
    assert page.all.count(advice) == 2  # of the verdict, and of the finding it rests on
    assert any("alarm" in card for card in page.cards)
    assert len(page.images) == 3
    assert [image["alt"] for image in page.images] == [
        words[f"alt_{name}"] for name in ("training", "find", "sweep")
    ]
    cells = [tuple(row) for table in page.tables for row in table]
    assert ("valley", "0.02") in cells
    assert ("accuracy", "0.9712") in cells
    assert ("updates", "12,345") in cells
    assert ("loss", "NaN") in cells
    assert ("lr", "0.1") in cells
    assert ("lrcore", lrcore.__version__) in cells
    assert ("NumPy", np.__version__) in cells
    (best,) = (row for row in cells if row[-1] == words["best"])
    assert best[:5] == ("1", "0.315", "0.005", "2", "0")


def test_pictures_are_whole_and_inside(tmp_path):
    page = written(tmp_path / "a.html", losses=falling(500))
    (image,) = page.images
    kind, data = image["src"].split(",")
    assert kind == "data:image/svg+xml;base64"
    root = ElementTree.fromstring(base64.b64decode(data))
    assert root.tag.endswith("svg")
    assert len(list(root.iter())) > 50


def test_pictures_of_the_same_run_are_the_same(tmp_path):
    losses = falling(500)
    one, two = (written(tmp_path / f"{i}.html", losses=losses).images for i in range(2))
    assert one == two


def test_a_diagnosis_alone_is_drawn(tmp_path):
    _, found = diagnosed(steps=np.arange(0, 20_000, 10))
    assert len(written(tmp_path / "a.html", diagnosis=found).images) == 1


def test_text_is_escaped(tmp_path):
    evil = "<script>alert('\x00&')</script>\ud800"
    page = written(
        tmp_path / "a.html",
        title=evil,
        numbers={evil: evil, "more": {evil: 1.0}, "rows": [{evil: evil}]},
        find=range_test(1, reliable=False, reasons=("<b>why</b>",), suggestions={"<b>": 0.1}),
    )
    clean = "<script>alert('\N{REPLACEMENT CHARACTER}&')</script>\N{REPLACEMENT CHARACTER}"
    assert page.texts["h1"] == [clean]
    assert page.texts["title"] == [clean]
    cells = [cell for table in page.tables for row in table for cell in row]
    assert cells.count(clean) >= 5
    assert _words.WORDS["en"]["unreliable"] in page.text
    assert "<b>why</b>" in page.texts["p"]


def test_rows_of_numbers(tmp_path):
    rows = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "note": "saved"}]
    page = written(tmp_path / "a.html", numbers={"epochs": rows, "on": True, "empty": []})
    (table,) = (table for table in page.tables if table[0][0] == "epoch")
    assert table == [["epoch", "loss", "note"], ["1", "2", "\N{EN DASH}"], ["2", "1", "saved"]]
    assert "epochs" in page.texts["caption"]
    assert ["on", "True"] in page.tables[0]
    assert ["empty", "[]"] in page.tables[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (1e-7, "1e-07"),
        (123_456.7, "123,457"),
        (1e30, "1e+30"),
        (7, "7"),
        (np.int64(-12_000), "-12,000"),
        (np.float32(0.5), "0.5"),
        (float("inf"), "inf"),
        (-float("inf"), "-inf"),
        (float("nan"), "NaN"),
        (None, "\N{EN DASH}"),
        (True, "True"),
        ("a<b", "a&lt;b"),
    ],
)
def test_numbers_as_a_person_reads_them(value, text):
    assert _html.number(value) == text


def test_without_matplotlib_the_page_says_what_to_install(tmp_path, monkeypatch):
    losses, found = diagnosed()
    test, result = range_test(), swept(VALLEY)
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = tmp_path / "a.html"
    page = written(path, diagnosis=found, losses=losses, find=test, sweep=result)
    assert page.images == []
    assert page.texts["code"] == ['pip install "lrcore[demo]"']
    assert found.text().splitlines()[0] in page.text
    assert ["valley", "0.02"] in [row for table in page.tables for row in table]
    assert "matplotlib" not in [row[0] for table in page.tables for row in table]


def test_a_sweep_that_was_interrupted(tmp_path):
    def train(lr, seed):
        if lr > 1:
            raise KeyboardInterrupt
        return np.inf if lr == 1 else lr

    result = lrcore.lr_sweep(train, [0.1, 1.0, 10.0], seeds=(0, 1))
    page = written(tmp_path / "a.html", sweep=result)
    assert _words.WORDS["en"]["interrupted"] in page.text
    rows = {row[0]: row[1:] for table in page.tables for row in table}
    made = [sum(run.lr == lr for run in result.runs) for lr in (0.1, 1.0, 10.0)]
    assert rows["0.1"] == ["0.1", rows["0.1"][1], str(made[0]), "0", "best, chosen"]
    assert rows["1"] == ["inf", "\N{EN DASH}", str(made[1]), str(made[1]), ""]
    assert rows["10"] == ["\N{EN DASH}", "\N{EN DASH}", "0", "0", ""]


def test_the_words_are_the_same_in_every_language():
    english = _words.WORDS["en"]
    for lang, words in _words.WORDS.items():
        assert words.keys() == english.keys()
        for name, text in words.items():
            assert text
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[name]))
            assert lang == "en" or name == "no_pictures" or text != english[name]


def test_a_page_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("before")

    def fail(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk is full"):
            report.write(path, title="A run")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.html"]
    assert report.write(str(path), title="A run") == path
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert os.listdir(tmp_path) == ["a.html"]
    if os.name == "posix":
        beside = tmp_path / "plain"
        beside.touch()
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"lang": "fr"}, ValueError, 'report.write: lang must be "en" or "zh", got \'fr\''),
        ({"title": 3}, TypeError, "report.write: title must be a str, got 3"),
        ({"losses": ["x"]}, TypeError, "plot.training: losses must be numbers, got ['x']"),
    ],
)
def test_what_it_refuses(tmp_path, more, error, text):
    with pytest.raises(error) as caught:
        report.write(tmp_path / "a.html", **{"title": "A run", **more})
    assert str(caught.value) == text
    assert os.listdir(tmp_path) == []


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        report.write(tmp_path / "none" / "a.html", title="A run")
