from bench import score_cards_1m


def test_score_cards_are_computed_and_timed():
    results = score_cards_1m.measure(customers=200)
    assert [result.name for result in results] == ["score_cards_1m", "score_cards_1m.unchanged"]
    assert all(result.value > 0 for result in results)
