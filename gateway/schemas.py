"""JSON schemas of proto messages, exactly as Envoy's transcoder reads and writes them.

Written: every field that cannot tell "unset" is there, even if empty; messages, `optional` fields and members of a
oneof are there only if set. Read: fields that only the server sets are ignored, so they are left out.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from enum import Enum

from google.api.field_behavior_pb2 import FieldBehavior
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.descriptors import Protos

Schema = dict[str, object]

ID_PATTERN = r"[A-Za-z0-9_.:-]{1,64}"
# What the services take at most in one text (chassis/interceptors.py).
TEXT_LENGTH_MAX = 10_000

_DATE_PARTS = {"year": (0, 9999), "month": (0, 12), "day": (0, 31)}

_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    # JSON's numbers are doubles to most readers, so 64 bits travel as text.
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64", "pattern": r"^-?[0-9]{1,19}$"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64", "pattern": r"^[0-9]{1,20}$"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
}

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,9}(\.[0-9]{1,9})?s$"},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
    },
}


class Way(Enum):
    """Which way a message goes; its schema differs."""

    ASKED = "asked"
    ANSWERED = "answered"


class Schemas:
    """Makes schemas and keeps the named ones for `components/schemas`."""

    def __init__(self, protos: Protos) -> None:
        self.protos = protos
        self.named: dict[str, Schema] = {}

    def message(self, message: Descriptor, way: Way) -> Schema:
        """A reference to the message's schema, or the schema itself for a well-known type."""
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        name = message.full_name
        if way is Way.ASKED and not name.endswith("Request"):
            name += ".Input"  # the plain name is that of the answer
        if name not in self.named:
            self.named[name] = {}  # a message may contain itself
            self.named[name] = self._object(message, way)
        return {"$ref": f"#/components/schemas/{name}"}

    def body_without(self, message: Descriptor, bound: AbstractSet[str]) -> Schema:
        """The schema of a body that carries all fields of a request but those bound by the path."""
        if not bound & set(message.fields_by_name):
            return self.message(message, Way.ASKED)
        return self._object(message, Way.ASKED, bound)

    def field(self, field: FieldDescriptor, way: Way) -> Schema:
        """The schema of one field, with its comment."""
        one = self._one(field, way)
        schema: Schema = {"type": "array", "items": one} if field.is_repeated else one
        comment = self.protos.comment(field)
        return {**schema, "description": comment} if comment else schema

    def _one(self, field: FieldDescriptor, way: Way) -> Schema:
        if field.message_type is not None:
            return self.message(field.message_type, way)
        if field.enum_type is not None:
            return self._enum(field, field.enum_type, way)
        parent = field.containing_type
        if parent is not None and parent.full_name == "google.type.Date":
            low, high = _DATE_PARTS[field.name]
            return {"type": "integer", "minimum": low, "maximum": high}
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text(field, way)
        schema = dict(_SCALARS[field.type])
        if way is Way.ASKED and field.name == "page_size":
            schema["minimum"] = 0
        return schema

    def _text(self, field: FieldDescriptor, way: Way) -> Schema:
        required = FieldBehavior.REQUIRED in self.protos.behaviors(field)
        schema: Schema = {"type": "string"}
        if way is Way.ASKED:
            schema["maxLength"] = TEXT_LENGTH_MAX
            if required:
                schema["minLength"] = 1
            if field.name == "request_id":
                schema["format"] = "uuid"
        resource = self.protos.resource_pattern(field)
        if resource:
            pattern = "/".join(ID_PATTERN if part.startswith("{") else part for part in resource.split("/"))
            schema["pattern"] = f"^{pattern}$" if required and way is Way.ASKED else f"^({pattern})?$"
        return schema

    def _enum(self, field: FieldDescriptor, enum: EnumDescriptor, way: Way) -> Schema:
        if way is Way.ASKED and FieldBehavior.REQUIRED in self.protos.behaviors(field):
            return {"type": "string", "enum": [value.name for value in enum.values if value.number]}
        if enum.full_name not in self.named:
            schema: Schema = {"type": "string", "enum": [value.name for value in enum.values]}
            comment = self.protos.comment(enum)
            self.named[enum.full_name] = {**schema, "description": comment} if comment else schema
        return {"$ref": f"#/components/schemas/{enum.full_name}"}

    def _object(self, message: Descriptor, way: Way, without: AbstractSet[str] = frozenset()) -> Schema:
        fields = [field for field in self._fields(message, way) if field.name not in without]
        schema: Schema = {
            "type": "object",
            "properties": {field.json_name: self.field(field, way) for field in fields},
        }
        if way is Way.ANSWERED:
            schema["additionalProperties"] = False
            required = [field.json_name for field in fields if not field.has_presence]
        else:
            required = [f.json_name for f in fields if FieldBehavior.REQUIRED in self.protos.behaviors(f)]
            choices = [
                {"oneOf": [{"required": [member.json_name]} for member in choice.fields]}
                for choice in message.oneofs
                if not choice.name.startswith("_")  # those are protoc's own, one for each `optional` field
            ]
            schema = {**schema, **choices[0]} if len(choices) == 1 else schema
        if required:
            schema["required"] = required
        comment = self.protos.comment(message)
        if comment:
            schema["description"] = comment
        return schema

    def _fields(self, message: Descriptor, way: Way) -> Iterator[FieldDescriptor]:
        server_only = {FieldBehavior.OUTPUT_ONLY, FieldBehavior.IDENTIFIER}
        for field in message.fields:
            if way is Way.ANSWERED or not server_only & self.protos.behaviors(field):
                yield field
