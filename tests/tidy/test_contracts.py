"""What buf cannot say about the protos."""

import re

import pytest
from google.api import annotations_pb2, field_behavior_pb2, resource_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

MONEY = re.compile(r"amount|balance|limit|outstanding|principal|price|average|sum|money|minor|total")
FLOATS = {FieldDescriptorProto.TYPE_DOUBLE, FieldDescriptorProto.TYPE_FLOAT}
# Field type → how its name must end.
ENDINGS = {
    ".google.protobuf.Timestamp": (r"_time(_min|_max)?$", "_time"),
    ".google.type.Date": (r"_date(_min|_max)?$", "_date"),
}
FREE_RESPONSES = {".google.longrunning.Operation", ".google.protobuf.Empty", ".google.api.HttpBody"}


def comments(file):
    """Paths of the declarations that have a comment."""
    return {tuple(place.path) for place in file.source_code_info.location if place.leading_comments.strip()}


def messages(file):
    waiting = list(file.message_type)
    while waiting:
        message = waiting.pop(0)
        yield message
        waiting.extend(each for each in message.nested_type if not each.options.map_entry)


def rpcs_without_promises(file):
    told = comments(file)
    for number, service in enumerate(file.service):
        for index, rpc in enumerate(service.method):
            where = f"{file.name}: {service.name}.{rpc.name}"
            if not rpc.options.Extensions[annotations_pb2.http].WhichOneof("pattern"):
                yield f"{where} has no HTTP rule: add option (google.api.http)"
            if not rpc.options.HasField("idempotency_level"):
                yield f"{where} does not say what a second call does: add option idempotency_level"
            if (6, number, 2, index) not in told:
                yield f"{where} has no comment: say what it does, its limits and its errors"


def responses_of_the_wrong_kind(file):
    """The response is `<Rpc>Response`, the resource that its name ends in, an operation, nothing, or a raw body."""
    resources = {
        f".{file.package}.{message.name}"
        for message in file.message_type
        if message.options.Extensions[resource_pb2.resource].type
    }
    for service in file.service:
        for rpc in service.method:
            standard = re.match(r"Get|Create|Update|Record|Refresh|List|Cancel|Wait|Delete", rpc.name)
            allowed = {f".{file.package}.{rpc.name}Response", *FREE_RESPONSES, *resources}
            package, _, answered = rpc.output_type.rpartition(".")
            named = package == f".{file.package}" and rpc.name.endswith(answered)
            if rpc.output_type not in allowed and not named and not (standard and rpc.output_type.count(".") > 2):
                yield f"{file.name}: {rpc.name} answers {rpc.output_type}: answer {rpc.name}Response or the resource"


def fields_without_behavior(file):
    for message in messages(file):
        for field in message.field:
            if not field.options.Extensions[field_behavior_pb2.field_behavior]:
                yield (
                    f"{file.name}: {message.name}.{field.name} does not say who sets it: add "
                    "(google.api.field_behavior) REQUIRED, OPTIONAL, OUTPUT_ONLY, IDENTIFIER or IMMUTABLE"
                )


def floats_for_money(file):
    for message in messages(file):
        for field in message.field:
            if field.type in FLOATS and MONEY.search(field.name):
                yield f"{file.name}: {message.name}.{field.name} is a float: use google.type.Money, or int64 …_minor"


def times_with_other_names(file):
    for message in messages(file):
        for field in message.field:
            pattern, ending = ENDINGS.get(field.type_name, ("", ""))
            if pattern and not re.search(pattern, field.name):
                yield f"{file.name}: {message.name}.{field.name} must end in {ending}"


def pages_with_other_shapes(file):
    by_name = {message.name: message for message in file.message_type}
    for message in file.message_type:
        fields = {field.name for field in message.field}
        if "page_size" not in fields:
            continue
        response = by_name.get(message.name.removesuffix("Request") + "Response")
        if "page_token" not in fields or response is None:
            yield f"{file.name}: {message.name} pages: it needs page_token, and a response of its own"
            continue
        first, second = (next((f for f in response.field if f.number == number), None) for number in (1, 2))
        listed = first is not None and first.label == FieldDescriptorProto.LABEL_REPEATED
        if not listed or second is None or second.name != "next_page_token":
            yield f"{file.name}: {response.name} must have the list as field 1 and next_page_token as field 2"


CHECKS = (
    rpcs_without_promises,
    responses_of_the_wrong_kind,
    fields_without_behavior,
    floats_for_money,
    times_with_other_names,
    pages_with_other_shapes,
)


@pytest.mark.parametrize("check", CHECKS)
def test_the_contracts_keep_their_style(check, protos, assert_nothing):
    assert protos
    assert_nothing(fault for file in protos for fault in check(file))


def broken() -> FileDescriptorProto:
    """A contract that breaks every rule."""
    file = FileDescriptorProto(name="broken.proto", package="banyan.loan.v1")
    request = file.message_type.add(name="ListLoansRequest")
    request.field.add(name="page_size", type=FieldDescriptorProto.TYPE_INT32)
    request.field.add(name="page_token", type=FieldDescriptorProto.TYPE_STRING)
    response = file.message_type.add(name="ListLoansResponse")
    response.field.add(name="next_page_token", number=1, type=FieldDescriptorProto.TYPE_STRING)
    loan = file.message_type.add(name="Loan")
    loan.field.add(name="balance", type=FieldDescriptorProto.TYPE_DOUBLE)
    message = FieldDescriptorProto.TYPE_MESSAGE
    loan.field.add(name="created", type=message, type_name=".google.protobuf.Timestamp")
    loan.nested_type.add(name="Entry", options=descriptor_pb2.MessageOptions(map_entry=True)).field.add(name="key")
    service = file.service.add(name="LoanService")
    service.method.add(name="RankLoans", input_type=".banyan.loan.v1.Loan", output_type=".banyan.loan.v1.Loan")
    return file


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_can_fail(check):
    assert list(check(broken()))


def test_entries_of_maps_are_no_messages_of_ours():
    assert not any("Entry" in fault for fault in fields_without_behavior(broken()))
