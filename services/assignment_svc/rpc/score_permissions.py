"""Who may call what of score cards, credit and targets; whose cards he then sees is decided by his branch."""

from collections.abc import Mapping
from types import MappingProxyType

from chassis.caller import Role

_OPERATORS = frozenset({Role.SERVICE, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})
_HEADS = frozenset({Role.BRANCH_HEAD})
_MEASURED = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER})
_READERS = _MEASURED | {Role.ANALYST}
_ALL = _READERS | {Role.ADMIN, Role.APPROVER}

SCORES_ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "/banyan.assignment.v1.ScoreCardService/GetScoreCard": _READERS,
        "/banyan.assignment.v1.ScoreCardService/ListScoreCards": _READERS,
        "/banyan.assignment.v1.ScoreCardService/ListScoreCardCustomers": _MEASURED,
        "/banyan.assignment.v1.ScoreCardService/BuildScoreCards": _OPERATORS,
        "/banyan.assignment.v1.ScoreCardService/GetScoreMonth": _ALL,
        "/banyan.assignment.v1.ScoreCardService/ListScoreMonths": _ALL,
        "/banyan.assignment.v1.ScoreCardService/FreezeScoreMonth": _ADMINS,
        "/banyan.assignment.v1.ScoreCardService/UnfreezeScoreMonth": frozenset({Role.APPROVER}),
        "/banyan.assignment.v1.CreditService/RecordInterception": _HEADS,
        "/banyan.assignment.v1.CreditService/WithdrawInterception": _HEADS,
        "/banyan.assignment.v1.CreditService/GetInterception": _MEASURED,
        "/banyan.assignment.v1.CreditService/ListInterceptions": _MEASURED,
        "/banyan.assignment.v1.CreditService/RecordCreditCustody": _HEADS,
        "/banyan.assignment.v1.CreditService/WithdrawCreditCustody": _HEADS,
        "/banyan.assignment.v1.CreditService/GetCreditCustody": _HEADS,
        "/banyan.assignment.v1.CreditService/ListCreditCustodies": _HEADS,
        "/banyan.assignment.v1.CreditService/CreateScorePolicy": _ADMINS,
        "/banyan.assignment.v1.CreditService/GetScorePolicy": _ALL,
        "/banyan.assignment.v1.CreditService/ListScorePolicies": _ALL,
        "/banyan.assignment.v1.TargetService/SetTargets": _HEADS | _ADMINS,
        "/banyan.assignment.v1.TargetService/GetTarget": _MEASURED | _ADMINS,
        "/banyan.assignment.v1.TargetService/ListTargets": _MEASURED | _ADMINS,
    }
)
