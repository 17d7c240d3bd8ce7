"""The limiter against a plain model of what a sliding window is."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.storage import storage_from_string

from gifty.core.http.rate_limits import LocalLimiter, Rule
from gifty.core.http.route import Limit

LIMITS = st.lists(
    st.builds(Limit, st.integers(1, 12), st.sampled_from([1, 2, 10, 60])),
    min_size=1,
    max_size=3,
    unique_by=lambda x: x.seconds,
)


class Model:
    """All passed requests, counted anew each time."""

    def __init__(self, limits):
        self.limits = limits
        self.passed = []

    def hit(self, now):
        for limit in self.limits:
            if sum(at > now - limit.seconds for at in self.passed) >= limit.requests:
                return False
        self.passed.append(now)
        return True


@settings(max_examples=200, deadline=None)
@given(limits=LIMITS, steps=st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0, 7.0, 61.0]), min_size=1, max_size=120))
def test_it_is_the_model(limits, steps):
    limiter, model, rules, now = LocalLimiter(), Model(limits), (Rule(limits),), 100.0
    for step in steps:
        now += step
        decision = limiter.hit("caller", rules, now)
        assert (decision[0] == 0) == model.hit(now)
        for limit, said in zip(rules[0].limits, decision[1].split(", "), strict=True):
            left = limit.requests - sum(at > now - limit.seconds for at in model.passed)
            assert f";r={left};" in said


@settings(max_examples=100, deadline=None)
@given(limits=LIMITS, steps=st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0]), min_size=20, max_size=60))
def test_whoever_waits_as_told_passes(limits, steps):
    limiter, rules, now = LocalLimiter(), (Rule(limits),), 100.0
    for step in steps:
        now += step
        wait = limiter.hit("caller", rules, now)[0]
        if wait:
            now += wait + 1e-9
            assert limiter.hit("caller", rules, now)[0] == 0


def test_a_refusal_by_one_rule_spends_nothing_of_the_other():
    limiter = LocalLimiter()
    strict, wide = Rule([Limit(1, 60)], "POST /login "), Rule([Limit(3, 60)])
    assert limiter.hit("a", (strict, wide), 0.0)[0] == 0
    assert all(limiter.hit("a", (strict, wide), 1.0)[0] > 0 for _ in range(5))
    assert [limiter.hit("a", (wide,), 2.0)[0] == 0 for _ in range(3)] == [True, True, False]
    assert limiter.hit("b", (strict, wide), 2.0)[0] == 0


def test_memory_is_bounded_however_many_callers_come():
    limiter, rules = LocalLimiter(capacity=500), (Rule([Limit(100, 60), Limit(20, 1)]),)
    tracemalloc.start()
    try:
        for number in range(20_000):
            limiter.hit(f"caller {number}", rules, number / 1000)
            assert len(limiter) <= 500
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()


def test_the_idle_are_forgotten_before_the_busy():
    limiter, rules = LocalLimiter(capacity=10), (Rule([Limit(2, 60)]),)
    for number in range(9):
        limiter.hit(f"idle {number}", rules, 0.0)
    limiter.hit("busy", rules, 100.0)
    limiter.hit("busy", rules, 100.0)
    limiter.hit("new", rules, 100.0)
    assert limiter.hit("busy", rules, 101.0)[0] > 0


@pytest.fixture
def shared_module(monkeypatch):
    from gifty.core.http import shared_limits  # noqa: PLC0415

    monkeypatch.setattr(
        shared_limits, "storage_from_string", lambda _url, **_options: storage_from_string("async+memory://")
    )
    return shared_limits


async def test_a_shared_store_counts_the_same(shared_module):
    limiter = shared_module.SharedLimiter("redis://nowhere", LocalLimiter())
    rules = (Rule([Limit(3, 60), Limit(20, 1)]),)
    decisions = [await limiter.hit("caller", rules, 0.0) for _ in range(5)]
    assert [decision[0] == 0 for decision in decisions] == [True, True, True, False, False]
    assert '"minute";r=0' in decisions[-1][1]
    assert 0 < decisions[-1][0] <= 60
    assert (await limiter.hit("another", rules, 0.0))[0] == 0
    wide = (Rule([Limit(2, 1), Limit(9, 60)]),)
    for _ in range(6):
        decision = await limiter.hit("a third", wide, 0.0)
    assert '"minute";r=7' in decision[1]


async def test_a_store_that_is_away_leaves_each_process_to_count_for_itself(shared_module, monkeypatch):
    limiter = shared_module.SharedLimiter("redis://nowhere", LocalLimiter())
    asked = []

    async def away(*_args):
        asked.append(1)
        raise ConnectionError("nobody there")

    monkeypatch.setattr(limiter._window, "hit", away)
    rules = (Rule([Limit(2, 60)]),)
    decisions = [await limiter.hit("caller", rules, 10.0) for _ in range(4)]
    assert [decision[0] == 0 for decision in decisions] == [True, True, False, False]
    assert len(asked) == 1
    await limiter.hit("caller", rules, 20.0)
    assert len(asked) == 2
