"""D-Adaptation for SGD (Defazio & Mishchenko 2023)."""

from __future__ import annotations

from math import sqrt

from ._forms import Array, Names, Pairs, Seen


def measure(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> Pairs:
    """<g, s>, and |s|^2 and |g|^2 with weights, as dadaptsgd.c explains."""
    real = p.dtype.type
    inverse = real(1.0 / h.lr if h.lr > 0 else 0.0)
    return [(g, s.s), (s.s, inverse * s.s), (g, real(h.lr) * g)]


def estimate(h: Names, seen: Seen, k: Names) -> None:
    """The distance d to the solution; `rate` is d / |g0|, and 0 where nothing is to move."""
    gs, ss, gg = seen.sums
    k.rate = 0.0
    if not h.lr > 0:
        return
    if not k.g0 > 0:
        k.g0 = sqrt(gg / h.lr)
    if not k.g0 > 0:
        return
    k.rate = k.d / k.g0
    k.numerator += (k.rate * h.lr) * gs
    norm2 = h.lr * ((ss + 2.0 * (k.rate * gs)) + (k.rate * k.rate) * gg)
    guess = 2.0 * k.numerator / sqrt(norm2) if norm2 > 0 else 0.0
    most = k.d * h.growth_rate
    if guess > k.d:
        k.d = guess if guess < most else most


def update(p: Array, g: Array, s: Names, h: Names, t: int, k: Names) -> None:
    real = p.dtype.type
    moves = k.rate * h.lr > 0
    stay, go = real(h.momentum if moves else 1.0), real(1.0 - h.momentum if moves else 0.0)
    s.s[...] = s.s + real(k.rate * h.lr) * g
    p[...] = stay * p + go * (s.x0 - s.s)
