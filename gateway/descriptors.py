"""Reads the descriptor set that `make gen` writes: every RPC with its HTTP rule and its comments."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from google.api import annotations_pb2, field_behavior_pb2, resource_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

DESCRIPTOR_SET = Path(__file__).parent.parent / "gen" / "banyan.desc"
PACKAGES = "banyan."

_DECLARATIONS = frozenset({"message_type", "nested_type", "enum_type", "field", "service", "method"})
_VARIABLE = re.compile(r"\{(?P<field>[^=}]+)(?:=(?P<pattern>[^}]+))?\}")


@dataclass(frozen=True)
class HttpRule:
    """One `google.api.http` rule. `body` is empty, `*` or the name of a field."""

    verb: str
    path: str
    body: str

    def variables(self) -> Mapping[str, str]:
        """The request fields bound by the path, each with its pattern, such as `name` → `customers/*`."""
        return {found["field"]: found["pattern"] or "*" for found in _VARIABLE.finditer(self.path)}

    def expanded(self) -> tuple[str, tuple[str, ...]]:
        """The path as OpenAPI writes it, `/v1/customers/{customer}`, and its parameters in order.

        A parameter is named after its collection; two of one name do not occur, since resources do not nest in
        themselves.
        """
        parameters: list[str] = []

        def expand(found: re.Match[str]) -> str:
            parts: list[str] = []
            for segment in (found["pattern"] or "*").split("/"):
                if segment != "*":
                    parts.append(segment)
                    continue
                parameters.append(_singular(parts[-1]) if parts else found["field"])
                parts.append("{" + parameters[-1] + "}")
            return "/".join(parts)

        return _VARIABLE.sub(expand, self.path), tuple(parameters)


@dataclass(frozen=True)
class Rpc:
    """One RPC of Banyan."""

    method: MethodDescriptor
    http: HttpRule
    comment: str

    @property
    def service(self) -> str:
        return self.method.containing_service.full_name

    @property
    def grpc_path(self) -> str:
        return f"/{self.service}/{self.method.name}"

    @property
    def streams(self) -> bool:
        return bool(self.method.client_streaming or self.method.server_streaming)

    @property
    def waits(self) -> bool:
        """The answer comes when something else is done, so later than those of other RPCs."""
        return self.method.input_type.full_name == "google.longrunning.WaitOperationRequest"


class Protos:
    """All of Banyan's protos, with their comments."""

    def __init__(self, descriptor_set: Path = DESCRIPTOR_SET) -> None:
        files = FileDescriptorSet.FromString(descriptor_set.read_bytes()).file
        self._pool = descriptor_pool.DescriptorPool()
        for file in files:
            self._pool.AddSerializedFile(file.SerializeToString())
        self._files = [file for file in files if file.package.startswith(PACKAGES)]
        self._resources = {
            resource.type: resource.pattern[0]
            for file in self._files
            for message in file.message_type
            if (resource := _extension(message.options, resource_pb2.resource)).pattern
        }
        self._comments = {name: text for file in files for name, text in _comments_of(file)}

    def services(self) -> list[str]:
        """Full names of all services, in the order of their files."""
        return [f"{file.package}.{service.name}" for file in self._files for service in file.service]

    def rpcs(self) -> list[Rpc]:
        """All RPCs, in the order of services and methods. Every one has an HTTP rule: `tests/tidy` sees to it."""
        found: list[Rpc] = []
        for name in self.services():
            for method in self._pool.FindServiceByName(name).methods:
                options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
                rule = _extension(options, annotations_pb2.http)
                verb = rule.WhichOneof("pattern")
                assert verb is not None, f"{method.full_name} has no google.api.http rule"
                http = HttpRule(verb, getattr(rule, verb), rule.body)
                found.append(Rpc(method, http, self.comment(method)))
        return found

    def comment(self, of: MethodDescriptor | Descriptor | EnumDescriptor | FieldDescriptor) -> str:
        """The comment above a declaration, as one paragraph; empty if it has none."""
        return self._comments.get(of.full_name, "")

    def behaviors(self, field: FieldDescriptor) -> set[int]:
        """The field's `google.api.field_behavior`."""
        options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
        return set(_extension(options, field_behavior_pb2.field_behavior))

    def resource_pattern(self, field: FieldDescriptor) -> str:
        """The pattern of the resource whose name the field holds, such as `customers/{customer}`; empty if none."""
        options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
        return self._resources.get(_extension(options, resource_pb2.resource_reference).type, "")

    def service_comment(self, full_name: str) -> str:
        return self._comments.get(full_name, "")


def _extension(options: Message, extension: Any) -> Any:  # noqa: ANN401 (its stub lacks the extension's own type)
    """One of Google's options of a declaration."""
    return cast("Any", options).Extensions[extension]


def _singular(collection: str) -> str:
    """`customers` → `customer`, `branches` → `branch`, `staff` → `staff`."""
    if collection.endswith("ches"):
        return collection.removesuffix("es")
    return collection.removesuffix("s")


def _comments_of(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        name = _name_at(file, tuple(location.path))
        if name and location.leading_comments:
            yield name, " ".join(location.leading_comments.split())


def _name_at(file: FileDescriptorProto, path: tuple[int, ...]) -> str:
    """The full name of the declaration at a source path: pairs of field number and index from the file down."""
    here: Any = file
    name = file.package
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = here.DESCRIPTOR.fields_by_number.get(number)
        if field is None or field.name not in _DECLARATIONS:
            return ""
        here = getattr(here, field.name)[index]
        name = f"{name}.{here.name}"
    return name if len(path) % 2 == 0 else ""
