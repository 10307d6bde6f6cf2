"""What a customer has at the bank, on the wire."""

from collections.abc import Iterable, Sequence
from datetime import date

from banyan.customer.v1 import customer_pb2
from google.type.money_pb2 import Money

from chassis import names, wire
from chassis.money import money_to_wire
from services.customer_svc.domain.business import (
    Account,
    BranchBusiness,
    Card,
    Holding,
    Loan,
    ProductTotals,
    Totals,
)
from services.customer_svc.domain.indicators import Indicator

PRODUCTS_MAX = 50


def money(minor: int | None, currency: str) -> Money | None:
    """An amount; None leaves the field unset."""
    return money_to_wire(minor, currency) if minor is not None else None


def totals_to_wire(totals: Totals, currency: str, indicators: Iterable[Indicator] = ()) -> customer_pb2.CustomerTotals:
    return customer_pb2.CustomerTotals(
        deposit_balance=money(totals.deposit_balance_minor, currency),
        deposit_average=money(totals.deposit_average_minor, currency),
        loan_outstanding=money(totals.loan_outstanding_minor, currency),
        card_limit=money(totals.card_limit_minor, currency),
        account_count=totals.account_count,
        loan_count=totals.loan_count,
        card_count=totals.card_count,
        indicators=[_indicator_to_wire(indicator, currency) for indicator in indicators],
    )


def branches_to_wire(
    branches: Sequence[tuple[str, Totals]], products: Sequence[ProductTotals], currency: str
) -> list[customer_pb2.BranchTotals]:
    """The sums at other branches, each with what is told of its products."""
    return [
        customer_pb2.BranchTotals(
            branch=names.make("branches", branch_id),
            totals=totals_to_wire(totals, currency),
            product_totals=[
                _product_to_wire(product, currency) for product in products if product.branch_id == branch_id
            ][:PRODUCTS_MAX],
        )
        for branch_id, totals in branches
    ]


def business_to_wire(business: BranchBusiness, currency: str) -> customer_pb2.BranchBusiness:
    return customer_pb2.BranchBusiness(
        branch=names.make("branches", business.branch_id),
        totals=totals_to_wire(business.totals, currency, business.indicators),
        accounts=[_account_to_wire(account, currency) for account in business.accounts],
        loans=[_loan_to_wire(loan, currency) for loan in business.loans],
        cards=[_card_to_wire(card, currency) for card in business.cards],
        holdings=[_holding_to_wire(holding, currency) for holding in business.holdings],
    )


def _indicator_to_wire(indicator: Indicator, currency: str) -> customer_pb2.Indicator:
    told = customer_pb2.Indicator(
        indicator=indicator.name.removesuffix("_minor"),
        from_date=wire.date_to_wire(indicator.from_date),
        until_date=wire.date_to_wire(indicator.until_date),
        days=indicator.days,
    )
    match indicator.value:
        case int() as minor if indicator.is_money:
            told.amount.CopyFrom(money_to_wire(minor, currency))
        case int() as number:
            told.number = number
        case date() as day:
            told.day_date.year, told.day_date.month, told.day_date.day = day.year, day.month, day.day
        case codes:
            told.codes = ";".join(codes)
    return told


def _product_to_wire(product: ProductTotals, currency: str) -> customer_pb2.ProductTotals:
    return customer_pb2.ProductTotals(
        product_class=product.product_class,
        product=product.product,
        open_count=product.open_count,
        amount=money(product.amount_minor, currency),
    )


def _account_to_wire(account: Account, currency: str) -> customer_pb2.Account:
    return customer_pb2.Account(
        account=account.account_id,
        kind=account.kind,
        open_date=wire.date_to_wire(account.open_date),
        close_date=wire.date_to_wire(account.close_date),
        balance=money(account.balance_minor, currency),
        maturity_date=wire.date_to_wire(account.maturity_date),
    )


def _loan_to_wire(loan: Loan, currency: str) -> customer_pb2.Loan:
    return customer_pb2.Loan(
        loan=loan.loan_id,
        product=loan.product,
        principal=money(loan.principal_minor, currency),
        outstanding=money(loan.outstanding_minor, currency),
        outstanding_estimated=loan.outstanding_estimated,
        disburse_date=wire.date_to_wire(loan.disburse_date),
        due_date=wire.date_to_wire(loan.due_date),
        state=loan.state,
        in_arrears=loan.in_arrears,
        officer=names.make("staff", loan.officer_id),
        revolving=loan.revolving,
        unused=money(loan.unused_minor, currency),
        collateral=f"COLLATERAL_{loan.collateral or 'UNSPECIFIED'}",
        next_due_date=wire.date_to_wire(loan.next_due_date),
        next_due=money(loan.next_due_minor, currency),
        overdue_days=loan.overdue_days,
        overdue=money(loan.overdue_minor, currency),
        interest_arrears=money(loan.interest_arrears_minor, currency),
        grade=f"LOAN_GRADE_{loan.grade or 'UNSPECIFIED'}",
        grade_date=wire.date_to_wire(loan.grade_date),
        last_overdue_date=wire.date_to_wire(loan.last_overdue_date),
        close_date=wire.date_to_wire(loan.close_date),
    )


def _card_to_wire(card: Card, currency: str) -> customer_pb2.Card:
    return customer_pb2.Card(
        card=card.card_id,
        product=card.product,
        limit=money(card.limit_minor, currency),
        open_date=wire.date_to_wire(card.open_date),
        close_date=wire.date_to_wire(card.close_date),
        used=money(card.used_minor, currency),
        due_date=wire.date_to_wire(card.due_date),
        due=money(card.due_minor, currency),
        overdue_days=card.overdue_days,
        instalment=money(card.instalment_minor, currency),
        last_use_date=wire.date_to_wire(card.last_use_date),
    )


def _holding_to_wire(holding: Holding, currency: str) -> customer_pb2.Holding:
    return customer_pb2.Holding(
        product=holding.product_code,
        display_name=holding.display_name,
        category=holding.category,
        open_date=wire.date_to_wire(holding.open_date),
        close_date=wire.date_to_wire(holding.close_date),
        amount=money(holding.amount_minor, currency),
        maturity_date=wire.date_to_wire(holding.maturity_date),
    )
