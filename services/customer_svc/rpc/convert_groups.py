"""Groups and exports between the wire and the values of customer_svc."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from banyan.customer.v1 import customer_condition_pb2, customer_group_pb2, export_pb2
from banyan.customer.v1 import customer_group_service_pb2 as pb

from chassis import names, wire
from chassis.data_keys import DataKeys
from chassis.errors import invalid_field
from services.customer_svc.domain.exports import Export
from services.customer_svc.domain.groups import Draft, GroupOrder, Kind, Sharing, Whose
from services.customer_svc.domain.query import Query
from services.customer_svc.rpc.convert_query import conditions_from_wire, order_from_wire
from services.customer_svc.usecases.build_groups import ReadQuery
from services.customer_svc.usecases.contact_hashes import hashed
from services.customer_svc.usecases.keep_groups import Shown

COLLECTION = "customerGroups"
EXPORTS = "exports"
_Group = customer_group_pb2.CustomerGroup
_SHARING: Mapping[int, Sharing] = {
    _Group.SHARING_UNSPECIFIED: Sharing.PRIVATE,
    _Group.SHARING_PRIVATE: Sharing.PRIVATE,
    _Group.SHARING_BRANCH: Sharing.BRANCH,
    _Group.SHARING_BANK: Sharing.BANK,
}
_WHOSE: Mapping[int, Whose] = {
    pb.ListCustomerGroupsRequest.FILTER_UNSPECIFIED: Whose.ALL,
    pb.ListCustomerGroupsRequest.FILTER_ALL: Whose.ALL,
    pb.ListCustomerGroupsRequest.FILTER_MINE: Whose.MINE,
    pb.ListCustomerGroupsRequest.FILTER_SHARED: Whose.SHARED,
}
# Fields that an owner changes, by their names on the wire.
_CHANGED: Mapping[str, Callable[[_Group], tuple[str, Any]]] = {
    "display_name": lambda sent: ("display_name", sent.display_name),
    "description": lambda sent: ("description", sent.description),
    "sharing": lambda sent: ("sharing", _SHARING[sent.sharing]),
    "shared_branch": lambda sent: ("shared_branch_id", _shared_branch_id(sent)),
    "query": lambda sent: ("query", raw_query(sent.query)),
    "refresh_nightly": lambda sent: ("refresh_nightly", sent.refresh_nightly),
}
_IMMUTABLE = frozenset({"kind"})


def query_from_wire(sent: customer_group_pb2.SavedQuery, currency: str, keys: DataKeys | None = None) -> Query:
    """A query to be saved, or one that was; with `keys`, by which numbers are found, one to be answered."""
    conditions = conditions_from_wire(sent.conditions, currency)
    return Query(hashed(conditions, keys) if keys else conditions, order_from_wire(sent.order))


def raw_query(sent: customer_group_pb2.SavedQuery) -> bytes:
    """A query as it is stored."""
    return sent.SerializeToString(deterministic=True)


def reader_of(currency: str, keys: DataKeys | None = None) -> ReadQuery:
    """Reads queries as they are stored; with `keys`, by which numbers are found, to answer them."""
    return lambda raw: query_from_wire(customer_group_pb2.SavedQuery.FromString(raw), currency, keys)


def members_of(group: str) -> customer_group_pb2.SavedQuery:
    """The query that finds the members of a group."""
    in_group = customer_condition_pb2.GroupCondition(any_of=[group])
    return customer_group_pb2.SavedQuery(conditions=[customer_condition_pb2.CustomerCondition(group=in_group)])


def draft_from_wire(sent: _Group) -> Draft:
    """A new group as its owner wants it."""
    if not sent.kind:
        raise invalid_field("customer_group.kind", "is required")
    return Draft(
        sent.display_name,
        sent.description,
        _SHARING[sent.sharing],
        _shared_branch_id(sent),
        Kind(_Group.Kind.Name(sent.kind).removeprefix("KIND_")),
        raw_query(sent.query) if sent.HasField("query") else None,
        sent.refresh_nightly,
    )


def changes_from_wire(request: pb.UpdateCustomerGroupRequest) -> dict[str, Any]:
    """The fields of the draft that change (AIP-134): those of the mask; without one those set; `*` means all."""
    sent = request.customer_group
    paths: Sequence[str] = list(request.update_mask.paths)
    if not paths:
        paths = [field.name for field, _ in sent.ListFields() if field.name in _CHANGED]
    elif list(paths) == ["*"]:
        paths = list(_CHANGED)
        if not sent.HasField("query"):
            paths.remove("query")
    known = _Group.DESCRIPTOR.fields_by_name
    for index, path in enumerate(paths):
        if path not in known or path in _IMMUTABLE:
            raise invalid_field(f"update_mask.paths[{index}]", f"{path[:100]} is no field that can be changed")
    if "query" in paths and not sent.HasField("query"):
        raise invalid_field("customer_group.query", "is required")
    return dict(_CHANGED[path](sent) for path in paths if path in _CHANGED)


def listed_from_wire(request: pb.ListCustomerGroupsRequest) -> tuple[Whose, GroupOrder]:
    """Which groups are listed, and how."""
    by_time = request.order == pb.ListCustomerGroupsRequest.ORDER_UPDATE_TIME
    return _WHOSE[request.filter], GroupOrder.UPDATE_TIME if by_time else GroupOrder.DISPLAY_NAME


def customer_ids_from_wire(sent: Sequence[str]) -> list[str]:
    """Customers by their names."""
    return [names.parse_one("customers", name, f"customers[{index}]") for index, name in enumerate(sent)]


def group_to_wire(shown: Shown) -> _Group:
    """A group as a viewer sees it."""
    group, draft = shown.group, shown.group.draft
    sent = _Group(
        name=names.make(COLLECTION, group.group_id),
        display_name=draft.display_name,
        description=draft.description,
        owner=names.make("staff", group.owner_id),
        sharing=f"SHARING_{draft.sharing}",
        shared_branch=names.make("branches", draft.shared_branch_id),
        kind=f"KIND_{draft.kind}",
        query=customer_group_pb2.SavedQuery.FromString(shown.query) if shown.query is not None else None,
        refresh_nightly=draft.refresh_nightly,
        etag=str(group.version),
        create_time=wire.time_to_wire(group.create_time),
        update_time=wire.time_to_wire(group.update_time),
        delete_time=wire.time_to_wire(group.delete_time),
        expire_time=wire.time_to_wire(group.expire_time),
    )
    if group.built is not None:
        sent.last_build_time.FromDatetime(group.built.time)
        sent.last_build_duration.FromTimedelta(group.built.took)
        sent.least_view_level = f"VIEW_LEVEL_{group.built.least.name}"  # pyright: ignore[reportAttributeAccessIssue] -- a name of the enum
    if shown.count is not None:
        sent.member_count = shown.count.number
        sent.member_count_text = shown.count.text
    return sent


def export_to_wire(export: Export) -> export_pb2.Export:
    """An export as its maker sees it."""
    return export_pb2.Export(
        name=names.make(EXPORTS, export.export_id),
        creator=names.make("staff", export.creator_id),
        purpose=export.order.purpose,
        format=f"FORMAT_{export.order.format}",
        columns=export.order.columns,
        row_count=export.row_count,
        size_bytes=export.size_bytes,
        file_name=export.file_name,
        create_time=wire.time_to_wire(export.create_time),
        expire_time=wire.time_to_wire(export.expire_time),
    )


def _shared_branch_id(sent: _Group) -> str | None:
    return names.parse_optional("branches", sent.shared_branch, "customer_group.shared_branch")
