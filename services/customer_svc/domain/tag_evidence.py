"""Why a customer carries a potential tag, in words.

The batch tells it as an object of the rules that held (`because`), the figures that they compared and their
thresholds; docs/feed.md describes it. A rule or figure that has no words here is shown by its name: a new rule of the
batch must not wait for this service.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

UNKNOWN = "—"


@dataclass(frozen=True)
class Sentence:
    """How one rule is told; names in braces are of figures, those with `min`, `max` and the like of thresholds."""

    chinese: str
    english: str


_SENTENCES: Mapping[str, Sentence] = MappingProxyType(
    {
        "inflow_did_not_stay": Sentence(
            "90 天行外流入 {inflow_90d_minor}（不低于 {inflow_minor_min}），90 天日均 {deposit_90d_average_minor}，"
            "不超过流入的 {kept_percent_max}%",
            "inflow from outside in 90 days {inflow_90d_minor} (at least {inflow_minor_min}), 90-day average "
            "{deposit_90d_average_minor}, at most {kept_percent_max} % of it",
        ),
        "time_deposit_due": Sentence(
            "定期存款 {time_maturity_date} 到期（不晚于 {maturity_date_max}）",
            "a time deposit is due on {time_maturity_date} (by {maturity_date_max})",
        ),
        "steady_income": Sentence(
            "近 {months} 个月每月入账至少 {credits_month_least_minor}（不低于 {credits_month_minor_min}），月日均至少 "
            "{average_month_least_minor}（不低于 {average_month_minor_min}），无贷款",
            "in each of the last {months} months credits of at least {credits_month_least_minor} (at least "
            "{credits_month_minor_min}) and an average of at least {average_month_least_minor} (at least "
            "{average_month_minor_min}), no loan",
        ),
        "loan_settled_cleanly": Sentence(
            "{loan_settled_date} 正常结清贷款（晚于 {settled_after_date}）",
            "a loan was settled cleanly on {loan_settled_date} (after {settled_after_date})",
        ),
        "line_unused": Sentence(
            "授信额度 {loan_line_minor}，未用 {loan_unused_minor}（不低于 {unused_percent_min}%）",
            "a line of {loan_line_minor}, of which {loan_unused_minor} unused (at least {unused_percent_min} %)",
        ),
        "payroll": Sentence(
            "代发工资，无贷记卡，年龄 {age_years_min} 至 {age_years_max} 岁",
            "paid through the bank, no card, {age_years_min} to {age_years_max} years old",
        ),
        "mobile_bank_active": Sentence(
            "手机银行 90 天内使用 {mobile_90d_count} 次，无贷记卡，年龄 {age_years_min} 至 {age_years_max} 岁",
            "mobile bank used {mobile_90d_count} times in 90 days, no card, {age_years_min} to {age_years_max} years "
            "old",
        ),
        "visits": Sentence(
            "90 天到柜台 {counter_90d_count} 次、ATM {atm_90d_count} 次（合计不少于 {visits_min} 次），未开手机银行",
            "{counter_90d_count} visits to the counter and {atm_90d_count} to ATMs in 90 days (at least {visits_min}), "
            "no mobile bank",
        ),
        "idle_balance": Sentence(
            "活期闲置 {idle_minor} 达 {days} 天（不低于 {idle_minor_min}），风险评级 {risk_rating} 有效至 "
            "{risk_rating_expiry_date}",
            "{idle_minor} idle for {days} days (at least {idle_minor_min}), risk rating {risk_rating} valid until "
            "{risk_rating_expiry_date}",
        ),
        "transfers_out": Sentence(
            "30 天转出他行 {other_bank_30d_count} 次（不少于 {transfers_out_min} 次）",
            "{other_bank_30d_count} transfers to other banks in 30 days (at least {transfers_out_min})",
        ),
        "average_down": Sentence(
            "{average_days} 天日均 {deposit_average_minor}，比前 {mean_months} 个月日均 {deposit_mean_minor} 下降 "
            "{average_drop_percent_min}% 以上",
            "the {average_days}-day average {deposit_average_minor} is at least {average_drop_percent_min} % below the "
            "mean of {mean_months} months, {deposit_mean_minor}",
        ),
        "account_closed": Sentence(
            "{closed_days} 天内销户 {closed_90d_count} 个", "{closed_90d_count} accounts closed in {closed_days} days"
        ),
        "open_complaint": Sentence("未结投诉 {open_complaints} 件", "{open_complaints} open complaints"),
    }
)
_CONFIRM = Sentence("高龄客户：高风险产品须先确认", "of an age at which high-risk products need a confirmation first")


def words(evidence: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    """The evidence as sentences in 中文 and in English, one for each rule that held."""
    told = _Told({**_part(evidence, "thresholds"), **_part(evidence, "figures")})
    because: object = evidence.get("because")
    reasons = [str(reason) for reason in cast("list[object]", because)] if isinstance(because, list) else []
    sentences = [_SENTENCES.get(reason, _plain(reason)) for reason in reasons]
    if told.get("needs_confirmation") is True:
        sentences.append(_CONFIRM)
    if not reasons and told:
        sentences.append(_plain(", ".join(f"{name} {told[name]}" for name in told)))
    return (
        [sentence.chinese.format_map(told) for sentence in sentences],
        [sentence.english.format_map(told) for sentence in sentences],
    )


class _Told(dict[str, object]):
    """Figures and thresholds as they are read; one that is not there is unknown."""

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            return UNKNOWN
        if isinstance(value, int) and "_minor" in name:
            whole, rest = divmod(value, 100)
            return f"{whole:,}.{rest:02}"
        return str(value)


def _part(evidence: Mapping[str, Any], name: str) -> Mapping[str, object]:
    part: object = evidence.get(name)
    return cast("Mapping[str, object]", part) if isinstance(part, Mapping) else {}


def _plain(said: str) -> Sentence:
    """What is told as it is: nothing in it is a name to be filled in."""
    escaped = said.replace("{", "{{").replace("}", "}}")
    return Sentence(escaped, escaped)
