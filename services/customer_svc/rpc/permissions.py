"""Who may call what of customer_svc. Which customers he then sees is decided per customer (domain.md 3)."""

from collections.abc import Mapping
from types import MappingProxyType

from chassis.caller import ANY_ROLE, Role

_SERVICES = frozenset({Role.SERVICE})
# Everybody to whom some customer could exist.
_BY_NAME = frozenset(
    {
        Role.BRANCH_HEAD,
        Role.MANAGER,
        Role.PRIVATE_MANAGER,
        Role.LOBBY,
        Role.TELLER,
        Role.APPROVER,
        Role.SERVICE,
    }
)
_COUNTING = _BY_NAME | {Role.MARKETER, Role.ANALYST}

ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "/banyan.customer.v1.CustomerService/GetCustomer": _BY_NAME,
        "/banyan.customer.v1.CustomerService/SearchCustomers": _BY_NAME,
        "/banyan.customer.v1.CustomerService/CountCustomers": _COUNTING,
        "/banyan.customer.v1.CustomerService/FacetCustomers": _COUNTING,
        "/banyan.customer.v1.CustomerService/ExplainQuery": _COUNTING,
        "/banyan.customer.v1.CustomerService/WatchCustomerFactChanges": _SERVICES,
        "/banyan.customer.v1.ImportService/ImportRows": _SERVICES,
        "/banyan.customer.v1.OperationService/GetOperation": ANY_ROLE,
        "/banyan.customer.v1.OperationService/ListOperations": ANY_ROLE,
        "/banyan.customer.v1.OperationService/CancelOperation": ANY_ROLE,
        "/banyan.customer.v1.OperationService/WaitOperation": ANY_ROLE,
    }
)
