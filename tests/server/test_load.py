"""The load test counts what comes back."""

from standin import StandIn, png, serving

from benchmarks.serving import body, load


def test_every_request_is_counted_as_answered_or_lost():
    ensemble = StandIn()
    with serving(ensemble, max_photos=1) as address:
        told = load(address, [body(png(red)) for red in range(3)], requests=100, clients=8)
        assert (len(told.seconds), told.lost) == (100, 0) and sum(ensemble.batches) == 100
        assert max(ensemble.batches) > 1  # they came together
        assert told.rate == 100 / told.wall and 0 < told.seconds.max() <= told.wall
        told = load(address, [body(png()), body(b"text")], requests=10, clients=2)
        assert (len(told.seconds), told.lost) == (5, 5)
    told = load(address, [body(png())], requests=4, clients=2)
    assert (len(told.seconds), told.lost) == (0, 4)


def test_of_1000_requests_32_at_a_time_none_is_lost():
    with serving() as address:
        told = load(address, [body(png(red, 1)) for red in range(18)], requests=1000, clients=32)
    assert (len(told.seconds), told.lost) == (1000, 0)
