"""The words of explanations, Chinese and English: a phrase for each clause."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from chassis.in_words import day_en, day_zh, money_en, money_zh
from services.assignment_svc.domain.explanation import Clause, Minor


@dataclass(frozen=True)
class Language:
    """How one language says clauses."""

    phrases: Mapping[str, str]
    sides: Mapping[str, str]
    money: Callable[[int, str], str]
    day: Callable[[date], str]
    joint: str
    before_and_after: str
    nothing: str


def said(clauses: Sequence[Clause], currency: str, language: Language) -> str:
    """The clauses as sentences."""
    return "".join(language.joint.format(_said(clause, currency, language)) for clause in clauses).strip()


def changed(before: str | None, after: str | None, language: Language) -> str:
    """How a row was and how it would be."""
    return language.before_and_after.format(before or language.nothing, after or language.nothing)


def _said(clause: Clause, currency: str, language: Language) -> str:
    values: dict[str, str] = {}
    for name, value in clause.values.items():
        match value:
            case Minor(amount):
                values[name] = language.money(amount, currency)
            case date():
                values[name] = language.day(value)
            case _:
                values[name] = language.sides.get(str(value), str(value)) if name == "side" else str(value)
    return language.phrases[clause.key].format(**values)


CHINESE = Language(
    phrases={
        "rule.LOAN": "规则1：客户在本网点有存续贷款，由贷款网点主办",
        "rule.GRACE": "规则2：客户最后一笔贷款已结清，宽限期内仍由贷款网点主办",
        "rule.CARD": "规则3：客户没有存续贷款，在本网点有贷记卡，由发卡网点主办",
        "rule.DEPOSIT": "规则4：客户没有存续贷款和贷记卡，由存款最多的网点主办",
        "rule.SECONDARY": "规则5：客户在本网点有业务，由其他网点主办，本网点协办",
        "rule.RUN_OFF": "规则6：客户在本网点已无存续业务，归属暂时保留",
        "rule.LAST": "规则6：客户在各网点均已无存续业务，保留最后的归属",
        "rule.HELD": "规则7：主办网点由锁定、移交或保护保留",
        "rule.HELD.LOCK": "规则7：主办网点已锁定",
        "rule.HELD.TRANSFER": "规则7：移交待批，客户仍由移出网点主办",
        "rule.HELD.PROTECTION": "规则7：主办网点在保护期内",
        "LOAN.amount": "最大一笔贷款余额为{amount}",
        "LOAN.unknown": "贷款余额不详",
        "LOAN.named.amount": "最大一笔贷款{basis}余额为{amount}",
        "LOAN.named.unknown": "贷款{basis}余额不详",
        "CARD.amount": "贷记卡最高额度为{amount}",
        "CARD.unknown": "贷记卡额度不详",
        "CARD.named.amount": "贷记卡{basis}额度为{amount}",
        "CARD.named.unknown": "贷记卡{basis}额度不详",
        "DEPOSIT.amount": "近30天日终存款余额合计{amount}",
        "DEPOSIT.unknown": "存款余额不详",
        "rival.amount": "高于网点{branch}的{amount}",
        "rival.unknown": "网点{branch}的金额不详",
        "tie": "与网点{branch}相同，依次按现主办网点、建立业务的先后、网点编号决定",
        "margin.amount": "网点{branch}为{amount}，高出不足{margin}%，仍由现主办网点保留",
        "margin.unknown": "网点{branch}高出不足{margin}%，仍由现主办网点保留",
        "primary.amount": "主办网点{branch}为{amount}",
        "primary.unknown": "主办网点{branch}的金额不详",
        "due": "{date}重新判定",
        "due.GRACE": "宽限期于{date}结束",
        "due.HELD": "于{date}结束",
        "due.RUN_OFF": "保留至{date}前",
        "since": "自{date}起为{side}",
        "manager": "客户经理为{manager}",
        "manager.HOLD": "客户经理{manager}由锁定或保护确定",
        "manager.HOLD.TRANSFER": "移交待批期间，客户经理仍为{manager}",
        "manager.OVERRIDE": "客户经理{manager}由经批准的贷款移交确定",
        "manager.OFFICER": "客户经理{manager}为该贷款的经办人",
        "manager.CARD_MANAGER": "客户经理{manager}为该贷记卡的客户经理",
        "manager.NAMED": "客户经理{manager}由网点负责人指定",
        "manager.NAMED.by": "客户经理{manager}由{actor}指定，自{date}起",
        "manager.NAMED.claimed": "客户经理{manager}于{date}认领",
        "manager.successor": "{wanted}不在本网点在岗，由其接任者{manager}管户",
        "manager.absent": "{wanted}不在本网点在岗，由虚拟客户经理管户",
        "manager.virtual": "未指定客户经理，由虚拟客户经理管户",
        "state.LIVE": "客户有存续业务，主办网点唯一",
        "state.FORMER": "客户已无存续业务，归属冻结",
        "state.FROZEN": "客户身故或被依法冻结，归属保持不变",
    },
    sides={"PRIMARY": "主办", "SECONDARY": "协办"},
    money=money_zh,
    day=day_zh,
    joint="{}。",
    before_and_after="现行：{}试行：{}",
    nothing="无归属。",
)
ENGLISH = Language(
    phrases={
        "rule.LOAN": "Rule 1: the customer has a live loan here, and the branch of the loan is primary",
        "rule.GRACE": "Rule 2: the customer's last loan has ended, and its branch stays primary during the grace",
        "rule.CARD": "Rule 3: the customer has no live loan but a card here, and the branch of the card is primary",
        "rule.DEPOSIT": "Rule 4: the customer has no live loan or card, and the branch with the largest deposits is "
        "primary",
        "rule.SECONDARY": "Rule 5: the customer has business here while another branch is primary",
        "rule.RUN_OFF": "Rule 6: the customer has no live business here any more, and the row is kept for a while",
        "rule.LAST": "Rule 6: the customer has no live business anywhere, and his last row is kept",
        "rule.HELD": "Rule 7: a lock, a transfer or a protection holds the primary branch",
        "rule.HELD.LOCK": "Rule 7: a lock holds the primary branch",
        "rule.HELD.TRANSFER": "Rule 7: while a transfer waits for approval, the giver stays primary",
        "rule.HELD.PROTECTION": "Rule 7: the primary branch is protected",
        "LOAN.amount": "The largest loan has {amount} outstanding",
        "LOAN.unknown": "What is owed on the loan is unknown",
        "LOAN.named.amount": "The largest loan, {basis}, has {amount} outstanding",
        "LOAN.named.unknown": "What is owed on loan {basis} is unknown",
        "CARD.amount": "The highest limit of a card is {amount}",
        "CARD.unknown": "The card's limit is unknown",
        "CARD.named.amount": "Card {basis} has a limit of {amount}",
        "CARD.named.unknown": "The limit of card {basis} is unknown",
        "DEPOSIT.amount": "The end-of-day balances of 30 days add up to {amount}",
        "DEPOSIT.unknown": "The balances are unknown",
        "rival.amount": "That is more than the {amount} of branch {branch}",
        "rival.unknown": "What branch {branch} has is unknown",
        "tie": "Branch {branch} has as much; the incumbent goes first, then the earlier business, then the lower id",
        "margin.amount": "Branch {branch} has {amount}, less than {margin}% more, so the incumbent stays",
        "margin.unknown": "Branch {branch} has less than {margin}% more, so the incumbent stays",
        "primary.amount": "The primary branch {branch} has {amount}",
        "primary.unknown": "What the primary branch {branch} has is unknown",
        "due": "It is looked at again on {date}",
        "due.GRACE": "The grace ends on {date}",
        "due.HELD": "That ends on {date}",
        "due.RUN_OFF": "It is kept until {date}",
        "since": "The branch has been {side} since {date}",
        "manager": "The manager is {manager}",
        "manager.HOLD": "The manager {manager} is held with the branch",
        "manager.HOLD.TRANSFER": "While the transfer waits, the manager is still {manager}",
        "manager.OVERRIDE": "The manager {manager} comes from an approved transfer of the loan",
        "manager.OFFICER": "The manager {manager} is the officer of the loan",
        "manager.CARD_MANAGER": "The manager {manager} is the manager of the card",
        "manager.NAMED": "The manager {manager} was named by the head of the branch",
        "manager.NAMED.by": "The manager {manager} was named by {actor}, from {date} on",
        "manager.NAMED.claimed": "The manager {manager} claimed the customer on {date}",
        "manager.successor": "{wanted} is not active at the branch, and the successor {manager} stands in",
        "manager.absent": "{wanted} is not active at the branch, and the virtual manager stands in",
        "manager.virtual": "Nobody is named, and the virtual manager stands in",
        "state.LIVE": "The customer has live business and exactly one primary branch",
        "state.FORMER": "The customer has no live business any more, and the last row is kept",
        "state.FROZEN": "The customer is dead or legally frozen, and the rows stay as they are",
    },
    sides={"PRIMARY": "primary", "SECONDARY": "secondary"},
    money=money_en,
    day=day_en,
    joint="{}. ",
    before_and_after="Now: {} Then: {}",
    nothing="no row.",
)
