import pytest

from services.customer_svc.domain.tag_evidence import UNKNOWN, words


def told(because, figures=None, thresholds=None):
    return words({"because": because, "figures": figures or {}, "thresholds": thresholds or {}})


def test_each_rule_that_held_is_a_sentence_in_both_languages() -> None:
    figures = {"inflow_90d_minor": 60_000_00, "deposit_90d_average_minor": 1_234_56, "time_maturity_date": "2026-07-09"}
    thresholds = {"inflow_minor_min": 50_000_00, "kept_percent_max": 20, "maturity_date_max": "2026-07-30"}
    chinese, english = told(["inflow_did_not_stay", "time_deposit_due"], figures, thresholds)
    assert chinese == [
        "90 天行外流入 60,000.00（不低于 50,000.00），90 天日均 1,234.56，不超过流入的 20%",
        "定期存款 2026-07-09 到期（不晚于 2026-07-30）",
    ]
    assert english == [
        "inflow from outside in 90 days 60,000.00 (at least 50,000.00), 90-day average 1,234.56, at most 20 % of it",
        "a time deposit is due on 2026-07-09 (by 2026-07-30)",
    ]


def test_a_figure_that_is_missing_or_empty_is_unknown() -> None:
    assert told(["open_complaint"])[0] == [f"未结投诉 {UNKNOWN} 件"]
    assert told(["account_closed"], {"closed_90d_count": None}, {"closed_days": 90})[1] == [
        f"{UNKNOWN} accounts closed in 90 days"
    ]


def test_who_needs_a_confirmation_is_told_so() -> None:
    chinese, english = told(["idle_balance"], {"idle_minor": 1, "needs_confirmation": True})
    assert (len(chinese), english[-1]) == (2, "of an age at which high-risk products need a confirmation first")
    assert len(told(["idle_balance"], {"needs_confirmation": False})[0]) == 1


@pytest.mark.parametrize(
    ("evidence", "sentences"),
    [
        ({"because": ["rule_{of}_tomorrow"]}, ["rule_{of}_tomorrow"]),
        ({"figures": {"odd": 3}, "thresholds": {"odd_min": 2}}, ["odd_min 2, odd 3"]),
        ({}, []),
        ({"because": "text", "figures": [1]}, []),
    ],
)
def test_what_has_no_words_yet_is_shown_by_its_name(evidence, sentences) -> None:
    assert words(evidence) == (sentences, sentences)
