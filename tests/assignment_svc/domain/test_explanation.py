"""What is said of a row of ownership, for each rule in both languages, and what is left out for whom it is hidden."""

from dataclasses import replace
from datetime import date

import pytest

from services.assignment_svc.domain.explanation import Background, Naming, clauses_of, state_clause
from services.assignment_svc.domain.ownership import (
    BranchFacts,
    Evidence,
    Hold,
    HoldKind,
    LiveCard,
    LiveLoan,
    OfficerOverride,
    Owner,
    Rule,
    Side,
    State,
)
from services.assignment_svc.domain.words import CHINESE, ENGLISH, changed, said

DAY = date(2026, 6, 30)
DUE = date(2026, 9, 1)
WAN = 1_000_000
LOAN = LiveLoan("L1", 50 * WAN, DAY, "s1")
CARD = LiveCard("K1", 3 * WAN, DAY, "s2")
SINCE = ("自2026年6月30日起为{}。", "The branch has been {} since 30 June 2026.")
PRIMARY = tuple(text.format(side) for text, side in zip(SINCE, ("主办", "primary"), strict=True))
SECONDARY = tuple(text.format(side) for text, side in zip(SINCE, ("协办", "secondary"), strict=True))
VIRTUAL = ("未指定客户经理，由虚拟客户经理管户。", "Nobody is named, and the virtual manager stands in.")


def facts(loan: LiveLoan | None = None, card: LiveCard | None = None, *, deposit: bool = False) -> Background:
    here = BranchFacts("b1", loan, None, card, deposit, 1 if deposit else None, DAY, DAY)
    return Background({"b1": here})


def row(rule: Rule, evidence: Evidence | None = None, side: Side = Side.PRIMARY, due: date | None = None) -> Owner:
    return Owner("b1", side, rule, None, None, evidence or Evidence(), DAY, DAY, due)


def explained(owner: Owner, background: Background | None = None, shown: Owner | None = None) -> tuple[str, str]:
    clauses = clauses_of(owner, shown or owner, background or Background(), 120)
    return said(clauses, "CNY", CHINESE), said(clauses, "CNY", ENGLISH)


CASES = {
    "a loan, larger than another": (
        row(Rule.LOAN, Evidence("L1", 50 * WAN, "b2", 20 * WAN)),
        "规则1：客户在本网点有存续贷款，由贷款网点主办。最大一笔贷款L1余额为50万元。高于网点b2的20万元。",
        (
            "Rule 1: the customer has a live loan here, and the branch of the loan is primary. The largest loan, L1,"
            " has CNY 500,000 outstanding. That is more than the CNY 200,000 of branch b2. "
        ),
        PRIMARY,
    ),
    "a loan whose outstanding is unknown": (
        row(Rule.LOAN, Evidence("L1", None)),
        "规则1：客户在本网点有存续贷款，由贷款网点主办。贷款L1余额不详。",
        (
            "Rule 1: the customer has a live loan here, and the branch of the loan is primary. What is owed on loan L1"
            " is unknown. "
        ),
        PRIMARY,
    ),
    "the grace after a loan": (
        row(Rule.GRACE, due=DUE),
        "规则2：客户最后一笔贷款已结清，宽限期内仍由贷款网点主办。宽限期于2026年9月1日结束。",
        (
            "Rule 2: the customer's last loan has ended, and its branch stays primary during the grace. The grace ends"
            " on 1 September 2026. "
        ),
        PRIMARY,
    ),
    "a card that stays by the margin": (
        row(Rule.CARD, Evidence("K1", 3 * WAN, "b2", 3 * WAN + 1050, held_by_margin=True)),
        (
            "规则3：客户没有存续贷款，在本网点有贷记卡，由发卡网点主办。贷记卡K1额度为3万元。"
            "网点b2为30,010.50元，高出不足20%，仍由现主办网点保留。"
        ),
        (
            "Rule 3: the customer has no live loan but a card here, and the branch of the card is primary. Card K1 has"
            " a limit of CNY 30,000. Branch b2 has CNY 30,010.50, less than 20% more, so the incumbent stays. "
        ),
        PRIMARY,
    ),
    "deposits as large as another's": (
        row(Rule.DEPOSIT, Evidence(None, 100, "b2", 100)),
        (
            "规则4：客户没有存续贷款和贷记卡，由存款最多的网点主办。近30天日终存款余额合计1元。"
            "与网点b2相同，依次按现主办网点、建立业务的先后、网点编号决定。"
        ),
        (
            "Rule 4: the customer has no live loan or card, and the branch with the largest deposits is primary. The"
            " end-of-day balances of 30 days add up to CNY 1. Branch b2 has as much; the incumbent goes first, then the"
            " earlier business, then the lower id. "
        ),
        PRIMARY,
    ),
    "business beside the primary branch's": (
        row(Rule.SECONDARY, Evidence(None, 200, "b2", 900), Side.SECONDARY),
        "规则5：客户在本网点有业务，由其他网点主办，本网点协办。近30天日终存款余额合计2元。主办网点b2为9元。",
        (
            "Rule 5: the customer has business here while another branch is primary. The end-of-day balances of 30 days"
            " add up to CNY 2. The primary branch b2 has CNY 9. "
        ),
        SECONDARY,
    ),
    "a branch that runs off": (
        row(Rule.RUN_OFF, side=Side.SECONDARY, due=DUE),
        "规则6：客户在本网点已无存续业务，归属暂时保留。保留至2026年9月1日前。",
        (
            "Rule 6: the customer has no live business here any more, and the row is kept for a while. It is kept until"
            " 1 September 2026. "
        ),
        SECONDARY,
    ),
    "the last row of a former customer": (
        row(Rule.RUN_OFF),
        "规则6：客户在各网点均已无存续业务，保留最后的归属。",
        "Rule 6: the customer has no live business anywhere, and his last row is kept. ",
        PRIMARY,
    ),
    "a hold that is over": (
        row(Rule.HELD, Evidence("h9"), due=DUE),
        "规则7：主办网点由锁定、移交或保护保留。于2026年9月1日结束。",
        "Rule 7: a lock, a transfer or a protection holds the primary branch. That ends on 1 September 2026. ",
        PRIMARY,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_rule_is_explained_in_both_languages(name: str) -> None:
    owner, chinese, english, since = CASES[name]
    assert explained(owner) == (chinese + since[0] + VIRTUAL[0], english + since[1] + " " + VIRTUAL[1])


@pytest.mark.parametrize(
    ("kind", "chinese", "english"),
    [
        (HoldKind.LOCK, "规则7：主办网点已锁定。", "Rule 7: a lock holds the primary branch."),
        (
            HoldKind.TRANSFER,
            "规则7：移交待批，客户仍由移出网点主办。",
            "Rule 7: while a transfer waits for approval, the giver stays primary.",
        ),
        (HoldKind.PROTECTION, "规则7：主办网点在保护期内。", "Rule 7: the primary branch is protected."),
    ],
)
def test_a_hold_is_told_by_its_kind(kind: HoldKind, chinese: str, english: str) -> None:
    hold = Hold("h1", kind, "b1", "s9", DAY, DUE)
    owner = replace(row(Rule.HELD, Evidence("h1"), due=DUE), manager_id="s9")
    told = explained(owner, Background(holds=[hold]))
    assert told[0].startswith(chinese)
    assert told[1].startswith(english)
    assert "s9" in told[0]


MANAGERS = {
    "officer": (facts(LOAN), "s1", None, "客户经理s1为该贷款的经办人。", "The manager s1 is the officer of the loan."),
    "override": (
        replace(facts(LOAN), overrides=(OfficerOverride("L1", "s1", "s5"),)),
        "s5",
        None,
        "客户经理s5由经批准的贷款移交确定。",
        "The manager s5 comes from an approved transfer of the loan.",
    ),
    "card": (
        facts(card=CARD),
        "s2",
        None,
        "客户经理s2为该贷记卡的客户经理。",
        "The manager s2 is the manager of the card.",
    ),
    "named": (
        replace(facts(deposit=True), namings={"b1": Naming("h1", DAY)}),
        "s3",
        "s3",
        "客户经理s3由h1指定，自2026年6月30日起。",
        "The manager s3 was named by h1, from 30 June 2026 on.",
    ),
    "claimed": (
        replace(facts(deposit=True), namings={"b1": Naming("s3", DAY, claimed=True)}),
        "s3",
        "s3",
        "客户经理s3于2026年6月30日认领。",
        "The manager s3 claimed the customer on 30 June 2026.",
    ),
    "successor": (
        facts(LOAN),
        "s4",
        None,
        "s1不在本网点在岗，由其接任者s4管户。",
        "s1 is not active at the branch, and the successor s4 stands in.",
    ),
    "absent": (
        facts(LOAN),
        None,
        "s3",
        "s1不在本网点在岗，由虚拟客户经理管户。",
        "s1 is not active at the branch, and the virtual manager stands in.",
    ),
}


@pytest.mark.parametrize("name", MANAGERS)
def test_it_is_told_who_made_the_manager_one(name: str) -> None:
    background, manager_id, named_id, chinese, english = MANAGERS[name]
    owner = replace(row(Rule.SECONDARY, side=Side.SECONDARY), manager_id=manager_id, named_manager_id=named_id)
    told = explained(owner, background)
    assert told[0].endswith(chinese)
    assert told[1].endswith(english)


def test_what_the_viewer_does_not_see_is_not_told() -> None:
    owner = row(Rule.SECONDARY, Evidence("L1", 50 * WAN, "b2", 90 * WAN), Side.SECONDARY)
    without_rival = replace(owner, evidence=Evidence("L1", 50 * WAN))
    assert "b2" not in "".join(explained(owner, facts(LOAN), without_rival))
    without_basis = replace(owner, evidence=replace(owner.evidence, basis=None))
    chinese, english = explained(owner, facts(LOAN), without_basis)
    # The kind of business is for the primary side too, the loan's number is not.
    assert "最大一笔贷款余额为50万元" in chinese
    assert "L1" not in chinese + english


def test_every_phrase_stands_in_both_languages() -> None:
    assert CHINESE.phrases.keys() == ENGLISH.phrases.keys()
    for key, phrase in CHINESE.phrases.items():
        for name in ("amount", "branch", "date", "manager", "wanted", "actor", "margin", "basis", "side"):
            assert (f"{{{name}}}" in phrase) == (f"{{{name}}}" in ENGLISH.phrases[key]), key


@pytest.mark.parametrize("state", State)
def test_every_state_is_said(state: State) -> None:
    assert said([state_clause(state)], "CNY", CHINESE).endswith("。")


def test_what_would_change_is_told_beside_what_is() -> None:
    assert changed("甲。", None, CHINESE) == "现行：甲。试行：无归属。"
    assert changed(None, "One.", ENGLISH) == "Now: no row. Then: One."


def test_other_currencies_and_large_amounts_are_said_by_name() -> None:
    owner = row(Rule.DEPOSIT, Evidence(None, 120_000_000 * 100))
    clauses = clauses_of(owner, owner, Background(), 120)
    assert "1.2亿元" in said(clauses, "CNY", CHINESE)
    assert "1.2亿CZK" in said(clauses, "CZK", CHINESE)
