"""What parameters of allocation may be, and what a policy says."""

from dataclasses import replace
from datetime import date

import pytest

from services.assignment_svc.domain.ownership import Policy
from services.assignment_svc.domain.policies import LIMITS, faults, in_chinese, in_english

DEFAULT = Policy(1, 90, 90, 120, 12, 30, 15)


def test_the_defaults_are_sound() -> None:
    assert faults(DEFAULT) == []


@pytest.mark.parametrize("field", LIMITS)
def test_each_parameter_has_its_range(field: str) -> None:
    least, most = LIMITS[field]
    for wrong in (least - 1, most + 1):
        [fault] = faults(replace(DEFAULT, **{field: wrong}))
        assert (fault.field, fault.problem) == (field, f"must be from {least} to {most}")


@pytest.mark.parametrize("changed", [{"grace_days": 15}, {"protection_idle_days": 15}, {"lead_days": 30}])
def test_nobody_is_told_of_an_end_before_its_begin(changed: dict[str, int]) -> None:
    assert [fault.field for fault in faults(replace(DEFAULT, **changed))] == ["lead_days"]


def test_without_grace_there_is_nothing_to_tell_of() -> None:
    assert faults(replace(DEFAULT, grace_days=0)) == []


def test_a_policy_is_said_in_both_languages() -> None:
    assert in_chinese(DEFAULT, None) == (
        "自始：最后一笔贷款结清后，贷款网点继续主办90天；其他网点的金额须比主办网点高出20%以上（含），方可取代；"
        "网点再无业务后，归属保留90天；无归属的客户在12个月内返回，仍归原主办；"
        "保护期内连续30天未联系的，保护提前结束；宽限期、锁定或保护结束前15天提醒双方网点。"
    )
    strict = Policy(2, 0, 0, 100, 0, 2, 1)
    assert in_english(strict, date(2026, 7, 1)) == (
        "From 2026-07-01 on: after its last loan a branch does not stay primary; another branch takes over with more"
        " than the primary one; a branch without business loses its row at once; a former customer who returns is"
        " allocated anew; a protection ends early after 2 days without contact; both branches are told 1 day before a"
        " grace, lock or protection ends."
    )
    assert "方可取代；网点再无业务后，归属即日终止；无归属的客户返回后，重新分配" in in_chinese(
        strict, date(2026, 7, 1)
    )
