"""Customers, facts and viewers between the wire and the values of customer_svc."""

from collections.abc import Sequence

from banyan.customer.v1 import customer_pb2, customer_service_pb2
from google.type.money_pb2 import Money

from chassis import names, wire
from chassis.caller import Caller, current_request_id
from chassis.data_keys import DataKeys
from chassis.money import money_to_wire
from services.customer_svc.domain.customer import (
    Account,
    BranchBusiness,
    Card,
    Loan,
    Owner,
    RelatedPerson,
    Totals,
    View,
)
from services.customer_svc.domain.facts import CustomerFact
from services.customer_svc.domain.viewing import Reading, Viewer


def viewer_of(caller: Caller) -> Viewer:
    return Viewer(caller.staff_id, caller.branch_id, frozenset(role.value for role in caller.roles))


def reading_of(caller: Caller, method: str, keys: DataKeys | None = None) -> Reading:
    """What the audit keeps of a read; with `keys`, which are needed to show anybody's contact data."""
    return Reading(viewer_of(caller), current_request_id(), method, keys)


def view_to_wire(view: View, currency: str) -> customer_pb2.Customer:
    identity = view.identity
    return customer_pb2.Customer(
        name=names.make("customers", identity.customer_id),
        customer_type=f"CUSTOMER_TYPE_{identity.customer_type or 'UNSPECIFIED'}",
        display_name=identity.display_name,
        sex=f"SEX_{identity.sex or 'UNSPECIFIED'}",
        birth_date=wire.date_to_wire(identity.birth_date),
        id_type=identity.id_type,
        id_number=identity.id_number,
        id_expiry_date=wire.date_to_wire(identity.id_expiry_date),
        mobile=identity.mobile,
        occupation=identity.occupation,
        residence_district=identity.residence_district,
        customer_since_date=wire.date_to_wire(identity.customer_since_date),
        state=f"STATE_{identity.state or 'UNSPECIFIED'}",
        owners=map(_owner_to_wire, view.owners),
        total=_totals_to_wire(view.total, currency) if view.total else None,
        own=_business_to_wire(view.own, currency) if view.own else None,
        other_branches=_branches_to_wire(view.other_branches, currency),
        related_people=map(_person_to_wire, view.related_people),
        view_level=f"VIEW_LEVEL_{view.level.name}",
        masked_fields=view.masked_fields,
        business_date=wire.date_to_wire(view.business_date),
        update_time=wire.time_to_wire(identity.update_time),
    )


def fact_to_wire(fact: CustomerFact) -> customer_service_pb2.CustomerFactChange:
    name = names.make("customers", fact.customer_id)
    if fact.gone:
        merged_into = names.make("customers", fact.merged_into)
        return customer_service_pb2.CustomerFactChange(customer=name, gone=True, merged_into=merged_into)
    return customer_service_pb2.CustomerFactChange(
        customer=name,
        customer_type=f"CUSTOMER_TYPE_{fact.customer_type}",
        state=f"STATE_{fact.state}",
        accounts=[
            customer_service_pb2.AccountFact(account=account_id, branch=names.make("branches", branch_id))
            for account_id, branch_id in fact.accounts
        ],
        loan_live=fact.loan_live,
        key_customer=fact.key_customer,
    )


def _owner_to_wire(owner: Owner) -> customer_pb2.CustomerOwner:
    return customer_pb2.CustomerOwner(
        branch=names.make("branches", owner.branch_id),
        side=f"SIDE_{owner.side}",
        manager=names.make("staff", owner.manager_id),
        since_date=wire.date_to_wire(owner.since_date),
        private_manager=names.make("staff", owner.private_manager_id),
    )


def _totals_to_wire(totals: Totals, currency: str) -> customer_pb2.CustomerTotals:
    return customer_pb2.CustomerTotals(
        deposit_balance=_money(totals.deposit_balance_minor, currency),
        deposit_average=_money(totals.deposit_average_minor, currency),
        loan_outstanding=_money(totals.loan_outstanding_minor, currency),
        card_limit=_money(totals.card_limit_minor, currency),
        account_count=totals.account_count,
        loan_count=totals.loan_count,
        card_count=totals.card_count,
    )


def _branches_to_wire(branches: Sequence[tuple[str, Totals]], currency: str) -> list[customer_pb2.BranchTotals]:
    return [
        customer_pb2.BranchTotals(branch=names.make("branches", branch_id), totals=_totals_to_wire(totals, currency))
        for branch_id, totals in branches
    ]


def _business_to_wire(business: BranchBusiness, currency: str) -> customer_pb2.BranchBusiness:
    return customer_pb2.BranchBusiness(
        branch=names.make("branches", business.branch_id),
        totals=_totals_to_wire(business.totals, currency),
        accounts=[_account_to_wire(account, currency) for account in business.accounts],
        loans=[_loan_to_wire(loan, currency) for loan in business.loans],
        cards=[_card_to_wire(card, currency) for card in business.cards],
    )


def _account_to_wire(account: Account, currency: str) -> customer_pb2.Account:
    return customer_pb2.Account(
        account=account.account_id,
        kind=account.kind,
        open_date=wire.date_to_wire(account.open_date),
        close_date=wire.date_to_wire(account.close_date),
        balance=_money(account.balance_minor, currency),
    )


def _loan_to_wire(loan: Loan, currency: str) -> customer_pb2.Loan:
    return customer_pb2.Loan(
        loan=loan.loan_id,
        product=loan.product,
        principal=_money(loan.principal_minor, currency),
        outstanding=_money(loan.outstanding_minor, currency),
        outstanding_estimated=loan.outstanding_estimated,
        disburse_date=wire.date_to_wire(loan.disburse_date),
        due_date=wire.date_to_wire(loan.due_date),
        state=loan.state,
        in_arrears=loan.in_arrears,
        officer=names.make("staff", loan.officer_id),
    )


def _card_to_wire(card: Card, currency: str) -> customer_pb2.Card:
    return customer_pb2.Card(
        card=card.card_id,
        product=card.product,
        limit=_money(card.limit_minor, currency),
        open_date=wire.date_to_wire(card.open_date),
        close_date=wire.date_to_wire(card.close_date),
    )


def _person_to_wire(person: RelatedPerson) -> customer_pb2.RelatedPerson:
    return customer_pb2.RelatedPerson(
        kind=person.kind,
        customer=names.make("customers", person.customer_id),
        display_name=person.display_name,
        mobile=person.mobile,
    )


def _money(minor: int | None, currency: str) -> Money | None:
    return money_to_wire(minor, currency) if minor is not None else None
