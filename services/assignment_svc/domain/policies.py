"""Policies of allocation: what their parameters may be, how far a version is, and what it says in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from services.assignment_svc.domain.ownership import Policy

# The least and the most of each parameter, both included.
LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "grace_days": (0, 365),
        "run_off_days": (0, 365),
        "challenge_percent": (100, 1_000),
        "return_months": (0, 120),
        "protection_idle_days": (1, 365),
        "lead_days": (1, 90),
    }
)


class PolicyState(StrEnum):
    """How far a version is."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True)
class PolicyVersion:
    """A version with its life. Without a start it counts from the beginning."""

    policy: Policy
    state: PolicyState
    start_date: date | None
    reason: str
    creator: str
    create_time: datetime
    approver: str | None = None
    approve_time: datetime | None = None
    withdrawer: str | None = None
    withdraw_time: datetime | None = None
    withdraw_reason: str = ""


@dataclass(frozen=True)
class Fault:
    """A parameter that may not be as it is."""

    field: str
    problem: str


def faults(policy: Policy) -> list[Fault]:
    """What is wrong with the parameters: each by itself, else against one another."""
    return list(_out_of_range(policy)) or list(_contradictions(policy))


def _out_of_range(policy: Policy) -> Iterator[Fault]:
    for field, (least, most) in LIMITS.items():
        if not least <= getattr(policy, field) <= most:
            yield Fault(field, f"must be from {least} to {most}")


def _contradictions(policy: Policy) -> Iterator[Fault]:
    """Nobody can be told of an end before what ends has begun."""
    if policy.lead_days >= policy.protection_idle_days:
        yield Fault("lead_days", "must be less than protection_idle_days")
    if 0 < policy.grace_days <= policy.lead_days:
        yield Fault("lead_days", "must be less than grace_days")


def in_chinese(policy: Policy, start_date: date | None) -> str:
    """What a policy says, one sentence for each parameter."""
    start = f"自{start_date.year}年{start_date.month}月{start_date.day}日起" if start_date else "自始"
    if policy.grace_days:
        grace = f"最后一笔贷款结清后，贷款网点继续主办{policy.grace_days}天"
    else:
        grace = "最后一笔贷款结清后，贷款网点不保留主办"
    if policy.run_off_days:
        run_off = f"网点再无业务后，归属保留{policy.run_off_days}天"
    else:
        run_off = "网点再无业务后，归属即日终止"
    if policy.return_months:
        back = f"无归属的客户在{policy.return_months}个月内返回，仍归原主办"
    else:
        back = "无归属的客户返回后，重新分配"
    margin = policy.challenge_percent - 100
    challenge = f"其他网点的金额须比主办网点高出{margin}%以上（含）" if margin else "其他网点的金额高于主办网点即可"
    return (
        f"{start}：{grace}；{challenge}，方可取代；{run_off}；{back}；"
        f"保护期内连续{policy.protection_idle_days}天未联系的，保护提前结束；"
        f"宽限期、锁定或保护结束前{policy.lead_days}天提醒双方网点。"
    )


def in_english(policy: Policy, start_date: date | None) -> str:
    """What a policy says, one sentence for each parameter."""
    start = f"From {start_date.isoformat()} on" if start_date else "From the beginning"
    if policy.grace_days:
        grace = f"after its last loan a branch stays primary for {_days(policy.grace_days)}"
    else:
        grace = "after its last loan a branch does not stay primary"
    if policy.run_off_days:
        run_off = f"a branch without business keeps its row for {_days(policy.run_off_days)}"
    else:
        run_off = "a branch without business loses its row at once"
    if policy.return_months:
        months = "1 month" if policy.return_months == 1 else f"{policy.return_months} months"
        back = f"a former customer who returns within {months} finds his last owner"
    else:
        back = "a former customer who returns is allocated anew"
    margin = policy.challenge_percent - 100
    challenge = f"at least {margin}% more" if margin else "more"
    return (
        f"{start}: {grace}; another branch takes over with {challenge} than the primary one; {run_off}; {back}; "
        f"a protection ends early after {_days(policy.protection_idle_days)} without contact; "
        f"both branches are told {_days(policy.lead_days)} before a grace, lock or protection ends."
    )


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
