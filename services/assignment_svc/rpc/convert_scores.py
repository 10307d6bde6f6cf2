"""Score cards, credit and targets between the wire and the values of assignment_svc."""

import re
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from banyan.assignment.v1 import credit_pb2, score_card_pb2, target_pb2

from chassis import clock, names, wire
from chassis.errors import Refused, Violation, invalid_field
from services.assignment_svc.domain.credit import SharePolicy
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.domain.score_cards import Figure, Indicator, MonthState, ScorePolicy
from services.assignment_svc.domain.targets import Line, Period
from services.assignment_svc.store.credit import Recorded, StoredPolicy
from services.assignment_svc.store.score_cards import Card, CardId, Month
from services.assignment_svc.store.score_customers import CustomerPart
from services.assignment_svc.store.targets import StoredTarget

T = TypeVar("T")
WHOLE_BRANCH = "-"
_CARD = "branches/*/staff/*/scoreCards/*"
_MONTH = re.compile(r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])")


def card_id_from_wire(name: str, field: str) -> CardId:
    branch_id, staff_id, month = names.parse(_CARD, name, field)
    return CardId(month_from_id(month, field), branch_id, None if staff_id == WHOLE_BRANCH else staff_id)


def month_from_id(month: str, field: str) -> date:
    """The first day of a month written as 2026-06."""
    if not _MONTH.fullmatch(month):
        raise invalid_field(field, "must end in a month, such as 2026-06")
    return date.fromisoformat(f"{month}-01")


def month_from_name(name: str) -> date:
    return month_from_id(names.parse_one("scoreMonths", name), "name")


def month_start(told: date, field: str) -> date:
    """Refuses a day that begins no month."""
    if told.day != 1:
        raise invalid_field(field, "must be the first day of a month")
    return told


def indicator_from_wire(indicator: int) -> Indicator | None:
    name = score_card_pb2.ScoreIndicator.Name(indicator).removeprefix("SCORE_INDICATOR_")
    return None if name == "UNSPECIFIED" else Indicator(name)


def indicator_required(indicator: int, field: str) -> Indicator:
    found = indicator_from_wire(indicator)
    if found is None:
        raise invalid_field(field, "is required")
    return found


def card_to_wire(card: Card) -> score_card_pb2.ScoreCard:
    card_id = card.card_id
    branch, staff_id = names.make("branches", card_id.branch_id), card_id.staff_id or WHOLE_BRANCH
    return score_card_pb2.ScoreCard(
        name=f"{branch}/staff/{staff_id}/scoreCards/{card_id.month:%Y-%m}",
        branch=branch,
        manager=names.make("staff", card_id.staff_id),
        month_date=wire.date_to_wire(card_id.month),
        as_of_date=wire.date_to_wire(card.as_of_date),
        frozen=card.state is MonthState.FROZEN,
        customer_count=card.customer_count,
        figures=map(figure_to_wire, card.figures),
        score_basis_points=card.score,
        rank=card.rank,
        ranked_count=card.ranked_count,
        update_time=wire.time_to_wire(card.update_time),
    )


def figure_to_wire(figure: Figure) -> score_card_pb2.ScoreFigure:
    return score_card_pb2.ScoreFigure(
        indicator=f"SCORE_INDICATOR_{figure.indicator}",
        value=figure.value,
        target=figure.target,
        achieved_basis_points=figure.achieved,
        weight=figure.weight,
        unknown_count=figure.unknown_count,
    )


def part_to_wire(part: CustomerPart) -> score_card_pb2.CustomerCredit:
    return score_card_pb2.CustomerCredit(
        customer=names.make("customers", part.customer_id), share_basis_points=part.share, value=part.value
    )


def month_to_wire(month: Month) -> score_card_pb2.ScoreMonth:
    return score_card_pb2.ScoreMonth(
        name=names.make("scoreMonths", f"{month.first:%Y-%m}"),
        state=f"STATE_{month.state}",
        as_of_date=wire.date_to_wire(month.as_of_date),
        actor=names.make("staff", month.actor),
        reason=month.reason,
        policy_version=month.policy_version,
        update_time=wire.time_to_wire(month.update_time),
    )


def interception_from_wire(customer_id: str, told: credit_pb2.Interception, actor: str) -> Recorded:
    """What is asked for; its branch is that of the interceptor, found later."""
    staff_id = names.parse_one("staff", told.interceptor, "interception.interceptor")
    return _recorded(customer_id, staff_id, "", told, "interception", actor)


def interception_to_wire(one: Recorded) -> credit_pb2.Interception:
    return credit_pb2.Interception(
        name=f"{names.make('customers', one.owner_id)}/interceptions/{one.record_id}",
        interceptor=names.make("staff", one.staff_id),
        branch=names.make("branches", one.place_id),
        from_date=wire.date_to_wire(one.from_date),
        until_date=wire.date_to_wire(one.until_date),
        reason=one.reason,
        actor=names.make("staff", one.actor),
        create_time=wire.time_to_wire(one.create_time),
    )


def custody_from_wire(branch_id: str, told: credit_pb2.CreditCustody, actor: str) -> Recorded:
    from_id = names.parse_one("staff", told.from_manager, "credit_custody.from_manager")
    to_id = names.parse_one("staff", told.to_manager, "credit_custody.to_manager")
    return _recorded(branch_id, to_id, from_id, told, "credit_custody", actor)


def custody_to_wire(one: Recorded) -> credit_pb2.CreditCustody:
    return credit_pb2.CreditCustody(
        name=f"{names.make('branches', one.owner_id)}/creditCustodies/{one.record_id}",
        from_manager=names.make("staff", one.place_id),
        to_manager=names.make("staff", one.staff_id),
        from_date=wire.date_to_wire(one.from_date),
        until_date=wire.date_to_wire(one.until_date),
        reason=one.reason,
        actor=names.make("staff", one.actor),
        create_time=wire.time_to_wire(one.create_time),
    )


def policy_from_wire(told: credit_pb2.ScorePolicy) -> ScorePolicy:
    """A version without its number. Refuses an indicator that is named twice."""
    weights: dict[Indicator, int] = {}
    for place, one in enumerate(told.weights):
        indicator = indicator_required(one.indicator, f"score_policy.weights[{place}].indicator")
        if indicator in weights:
            raise invalid_field(f"score_policy.weights[{place}].indicator", "has a weight already")
        weights[indicator] = one.weight
    shares = SharePolicy(told.primary_percent, told.secondary_percent, told.interceptor_percent)
    from_date = wire.date_from_wire(told.from_date, "score_policy.from_date")
    return ScorePolicy(0, from_date, shares, told.achieved_percent_max, weights)


def policy_to_wire(stored: StoredPolicy) -> credit_pb2.ScorePolicy:
    policy = stored.policy
    return credit_pb2.ScorePolicy(
        name=names.make("scorePolicies", str(policy.version)),
        from_date=wire.date_to_wire(policy.from_date),
        primary_percent=policy.shares.primary_percent,
        secondary_percent=policy.shares.secondary_percent,
        interceptor_percent=policy.shares.interceptor_percent,
        achieved_percent_max=policy.achieved_percent_max,
        weights=[
            credit_pb2.IndicatorWeight(indicator=f"SCORE_INDICATOR_{one}", weight=policy.weights[one])
            for one in Indicator
            if one in policy.weights
        ],
        actor=names.make("staff", stored.actor),
        create_time=wire.time_to_wire(stored.create_time),
    )


def line_from_wire(told: target_pb2.Target, place: int) -> tuple[Line | None, list[Violation]]:
    """A line, or everything that is so wrong in it that there is none."""
    faults: list[Violation] = []

    def read(what: Callable[[str], T], field: str) -> T | None:
        try:
            return what(f"targets[{place}].{field}")
        except Refused as refused:
            faults.extend(refused.violations)
            return None

    branch_id = read(lambda field: names.parse_one("branches", told.branch, field), "branch")
    staff_id = read(lambda field: names.parse_optional("staff", told.manager, field), "manager")
    indicator = read(lambda field: indicator_required(told.indicator, field), "indicator")
    period = read(lambda field: _period(told.period, field), "period")
    period_date = read(lambda field: wire.date_from_wire(told.period_date, field), "period_date")
    if faults or branch_id is None or indicator is None or period is None or period_date is None:
        return None, faults
    value = told.value if told.HasField("value") else None
    return Line(branch_id, staff_id, indicator, period, period_date, value), faults


def target_to_wire(stored: StoredTarget) -> target_pb2.Target:
    line = stored.line
    return target_pb2.Target(
        name=names.make("targets", stored.target_id),
        branch=names.make("branches", line.branch_id),
        manager=names.make("staff", line.staff_id),
        indicator=f"SCORE_INDICATOR_{line.indicator}",
        period=f"TARGET_PERIOD_{line.period}",
        period_date=wire.date_to_wire(line.period_date),
        value=line.value,
        version=stored.version,
        actor=names.make("staff", stored.actor),
        create_time=wire.time_to_wire(stored.create_time),
    )


def _period(period: int, field: str) -> Period:
    name = target_pb2.TargetPeriod.Name(period).removeprefix("TARGET_PERIOD_")
    if name == "UNSPECIFIED":
        raise invalid_field(field, "is required")
    return Period(name)


def _recorded(  # noqa: PLR0913, PLR0917 - all that is asked for
    owner_id: str,
    staff_id: str,
    place_id: str,
    told: credit_pb2.Interception | credit_pb2.CreditCustody,
    message: str,
    actor: str,
) -> Recorded:
    return Recorded(
        record_id="",
        owner_id=owner_id,
        staff_id=staff_id,
        place_id=place_id,
        from_date=wire.date_from_wire(told.from_date, f"{message}.from_date"),
        until_date=wire.date_from_wire(told.until_date, f"{message}.until_date"),
        reason=checked_reason(told.reason, f"{message}.reason"),
        actor=actor,
        create_time=clock.now(),
    )
