"""What a customer has at the bank: accounts, loans, cards, holdings, and sums of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.customer_svc.domain.indicators import Indicator


@dataclass(frozen=True)
class Totals:
    """Sums of a customer's business at one branch or over the bank; None is unknown, or nothing to sum."""

    deposit_balance_minor: int | None = None
    deposit_average_minor: int | None = None
    loan_outstanding_minor: int | None = None
    card_limit_minor: int | None = None
    account_count: int = 0
    loan_count: int = 0
    card_count: int = 0


@dataclass(frozen=True)
class Account:
    account_id: str
    kind: str
    open_date: date
    close_date: date | None
    balance_minor: int | None
    maturity_date: date | None = None


@dataclass(frozen=True)
class Loan:
    loan_id: str
    product: str | None
    principal_minor: int
    outstanding_minor: int | None
    outstanding_estimated: bool
    disburse_date: date
    due_date: date | None
    state: str
    in_arrears: bool
    officer_id: str | None
    revolving: bool = False
    collateral: str | None = None
    next_due_date: date | None = None
    next_due_minor: int | None = None
    overdue_days: int | None = None
    overdue_minor: int | None = None
    interest_arrears_minor: int | None = None
    grade: str | None = None
    grade_date: date | None = None
    last_overdue_date: date | None = None
    close_date: date | None = None

    @property
    def unused_minor(self) -> int | None:
        """What of a line may still be drawn."""
        if not self.revolving or self.outstanding_minor is None:
            return None
        return max(self.principal_minor - self.outstanding_minor, 0)


@dataclass(frozen=True)
class Card:
    card_id: str
    product: str | None
    limit_minor: int | None
    open_date: date
    close_date: date | None
    used_minor: int | None = None
    due_date: date | None = None
    due_minor: int | None = None
    overdue_days: int | None = None
    instalment_minor: int | None = None
    last_use_date: date | None = None


@dataclass(frozen=True)
class Holding:
    """A product held or a service signed up for; names are None if the bank's list of products lacks it."""

    product_code: str
    display_name: str | None
    category: str | None
    open_date: date
    close_date: date | None = None
    amount_minor: int | None = None
    maturity_date: date | None = None


@dataclass(frozen=True)
class ProductTotals:
    """What is open of one product at one branch, and its sum; None is unknown, or nothing to sum."""

    branch_id: str
    product_class: str
    product: str | None
    open_count: int
    amount_minor: int | None


@dataclass(frozen=True)
class BranchBusiness:
    """A customer's business at one branch, in detail."""

    branch_id: str
    totals: Totals = Totals()
    accounts: Sequence[Account] = ()
    loans: Sequence[Loan] = ()
    cards: Sequence[Card] = ()
    holdings: Sequence[Holding] = ()
    indicators: Sequence[Indicator] = ()
