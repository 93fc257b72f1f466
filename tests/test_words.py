"""What a diagnosis says: every language has every sentence, and every sentence its numbers."""

from __future__ import annotations

import string

import numpy as np
import pytest

import lrcore
from lrcore.instruments.diagnosis import rate, words
from lrcore.instruments.diagnosis.verdict import VERDICTS, Finding

TABLES = ("FRAME", "NAMES", "TEXT", "SPECIAL", "USUAL", "STATISTICS", "ADVICE", "EVIDENCE")
EN = words.LANGUAGES["en"]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("lang", words.LANGUAGES)
@pytest.mark.parametrize("table", TABLES)
def test_every_language_has_every_sentence_with_its_numbers(lang, table):
    ours, english = getattr(words.LANGUAGES[lang], table), getattr(EN, table)
    assert list(ours) == list(english)
    for key, text in ours.items():
        assert fields(text) == fields(english[key]) or table == "ADVICE", key
        assert fields(text) <= fields(english[key]), key
        assert bool(text) == bool(english[key]), key


def test_there_are_words_for_all_codes_and_inputs():
    assert set(VERDICTS) <= set(EN.NAMES)
    assert set(EN.NAMES) == set(EN.TEXT) == set(EN.ADVICE)
    assert set(rate.INPUTS) == set(EN.EVIDENCE)


def test_chinese_is_chinese():
    table = words.LANGUAGES["zh"]
    for name in TABLES:
        for key, text in getattr(table, name).items():
            bare = "".join(part for part, *_ in string.Formatter().parse(text))
            assert not text or any("\u4e00" <= c <= "\u9fff" for c in bare) or name == "FRAME"
            assert not any(mark in bare.replace("Monitor(opt)", "") for mark in ",;:()"), key


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_a_finding_says_what_where_how_sure_why_and_what_to_do(lang):
    one = Finding("spiking", 1000, 5000, "spike_rate", 0.0123, 0.0, 0.001, 0.95,
                  {"count": 49, "every": 81})  # fmt: skip
    text = one.text(lang)
    for part in ("1,000", "4,999", "95", "0.0123", "0.001", "49", "81"):
        assert part in text
    assert words.LANGUAGES[lang].NAMES["spiking"] in text
    assert "clip_norm" in one.advice(lang)


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_a_diagnosis_reads_from_the_verdict_to_the_next_step(lang):
    rng = np.random.default_rng(0)
    slow = 2.3 - np.linspace(0, 0.3, 1000) + 0.02 * rng.standard_normal(1000)
    stats = {"cos": np.full(1000, -0.5), "gain": np.full(1000, 0.999)}
    d = lrcore.diagnose(slow, stats=stats, lang=lang)
    lines = str(d).splitlines()
    frame = words.LANGUAGES[lang].FRAME
    assert lines[0].startswith(frame["verdict"].split("{")[0])
    assert lines[-1].startswith(frame["advice"].split("{")[0])
    assert "-0.5" in lines[1] or "0.999" in lines[1]
    assert "{" not in str(d)
    assert d.advice in lines[-1]
    assert str(d) != d.text("zh" if lang == "en" else "en")


@pytest.mark.parametrize("lang", words.LANGUAGES)
def test_every_sentence_can_be_said(lang):
    values = {name: 3 for text in (*EN.TEXT.values(), *EN.ADVICE.values()) for name in fields(text)}
    values = {k: v for k, v in values.items() if k not in ("start", "stop")}
    values["evidence"] = [("cos", -0.4, 0.02)]
    for code in EN.NAMES:
        for name in EN.STATISTICS:
            one = Finding(code, 3, 4, name, 1.0, 0.0, 2.0, 0.6, values)
            assert "{" not in one.text(lang) + one.advice(lang)


def test_numbers_are_written_as_a_person_does():
    given = (1234567, 0.123456, 3.0, 1e-9, -0.5, "word", float("nan"), 2.5e20)
    said = [words.number(x) for x in given]
    assert said == ["1,234,567", "0.123", "3", "1e-09", "-0.5", "word", "nan", "2.5e+20"]


def said(losses, **known):
    return str(lrcore.diagnose(losses, **known))


def test_one_and_none_read_as_such():
    one, none = said([1.0]), said([])
    assert "from 1 update." in one
    assert "from 0 updates." in none
    assert "updates 0 to 0" not in none
    assert "healthy" not in one  # a number of losses is compared with what it takes, not a run
    assert "here: 1." in one


def test_what_a_number_would_be_is_true_of_the_run_it_speaks_of():
    """A healthy run falls: its slope is not 0, and it does not end where it began."""
    rng = np.random.default_rng(0)
    cos, gain = 0.02 * rng.standard_normal(1000), np.full(1000, 0.8)
    finding = Finding("falling", 500, 1000, "trend_z", -40.0, 0.0, -3.0, 0.9,
                      {"change": 1.0})  # fmt: skip
    assert "for a loss that stays the same it would be about 0" in finding.text()
    learnt = said(3 * np.exp(-np.arange(1000) / 50) + 0.01, stats={"cos": cos, "gain": gain})
    assert "where nothing is learnt it would be about 1" in learnt


def test_losses_that_end_in_nan_went_nowhere():
    rng = np.random.default_rng(0)
    losses = 1 + 0.01 * rng.standard_normal(500)
    losses[300:] = np.nan
    text = said(losses)
    assert "inf or NaN: 200, the first at update 300" in text
    assert "ended at nan" not in text
    assert "before update 300" in text
    at_once = said(np.full(300, np.nan))
    assert "before update 0" not in at_once
    assert "at its best" not in at_once


def test_one_loss_that_is_no_number_is_a_finding_and_no_divergence():
    rng = np.random.default_rng(0)
    losses = 1 + 0.01 * rng.standard_normal(500)
    losses[300] = np.nan
    d = lrcore.diagnose(losses)
    assert d.verdict != "diverged"
    assert [f.code for f in d.findings if f.statistic == "nonfinite"] == ["nonfinite"]
    losses[100:400:30] = np.inf
    assert lrcore.diagnose(losses).verdict == "diverged"


def test_a_flat_run_that_has_annealed_is_not_sent_to_a_third_of_the_rate():
    rng = np.random.default_rng(0)
    losses = 1 + np.exp(-np.arange(1000) / 100) + 0.05 * rng.standard_normal(1000)
    rate = np.cos(np.linspace(0, np.pi / 2, 1000)) ** 2
    d = lrcore.diagnose(losses, lrs=rate)
    assert d.findings[0].code == "settled"
    assert "third" not in d.advice
    flat = lrcore.diagnose(losses, lrs=np.ones(1000))
    assert flat.findings[0].code == "flat"
    assert "third" in flat.advice


def test_gradients_that_have_gone_mean_converged():
    """Full batches: the loss is flat above 0, and whether the rate is low no longer matters."""
    t = np.arange(2000)
    losses = 0.47 + 10 * np.exp(-t / 50)
    gone = {"cos": np.full(2000, -0.98), "grad_norm": 10 * np.exp(-t / 100)}
    d = lrcore.diagnose(losses, stats=gone)
    assert (d.verdict, d.findings[0].statistic) == ("converged", "rest")
    noisy = {**gone, "grad_norm": 0.5 + gone["grad_norm"]}
    assert "rest" not in [f.statistic for f in lrcore.diagnose(losses, stats=noisy).findings]
