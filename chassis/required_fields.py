"""The check of a request that its contract already tells: required fields, known enum values, sizes.

It is compiled once per message type from the descriptors' annotations. Ranges and rules between fields live in a
service's domain.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, cast

from google.api.field_behavior_pb2 import FieldBehavior, field_behavior
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from chassis.errors import VIOLATIONS_MAX, Violation, invalid_fields

TEXT_LENGTH_MAX = 10_000
_NUL = b"\0"

# Takes a message, the path that leads to it (`contact.` or nothing) and the list that violations go to.
_Check = Callable[[Message, str, list[Violation]], None]


def checker(request: type[Message], *, with_elements: bool = True) -> Callable[[Message, bytes], None]:
    """Compiles the check of a message type: it takes a message with its bytes and refuses what is wrong.

    Without elements, messages in repeated fields are left alone: who takes a stream of batches answers for each
    element instead of ending the stream for one.
    """
    plan = _plan(request.DESCRIPTOR, with_elements=with_elements)

    def check(message: Message, raw: bytes) -> None:
        found: list[Violation] = []
        for step in plan.shape:
            step(message, "", found)
        # A message of fewer bytes than a text may have characters, and without NUL, needs no look at its texts.
        if len(raw) > TEXT_LENGTH_MAX or _NUL in raw:
            for step in plan.texts:
                step(message, "", found)
        if found:
            raise invalid_fields(found)

    return check


class _Plan:
    """The steps that check one message type; empty lists if there is nothing to check."""

    def __init__(self) -> None:
        self.shape: list[_Check] = []
        self.texts: list[_Check] = []


@cache
def _plan(descriptor: Descriptor, *, with_elements: bool) -> _Plan:
    return _Compiler(with_elements=with_elements).compile(descriptor)


class _Compiler:
    """Compiles a message type with those inside it; a type inside itself gets the plan that is being made."""

    def __init__(self, *, with_elements: bool) -> None:
        self._with_elements = with_elements
        self._plans: dict[str, _Plan] = {}

    def compile(self, descriptor: Descriptor) -> _Plan:
        if descriptor.full_name in self._plans:
            return self._plans[descriptor.full_name]
        plan = self._plans[descriptor.full_name] = _Plan()
        for field in descriptor.fields:
            behaviors = _behaviors(field)
            if FieldBehavior.OUTPUT_ONLY in behaviors:
                continue  # whatever a caller writes there is ignored (AIP-203)
            self._add(plan, field, required=FieldBehavior.REQUIRED in behaviors)
        return plan

    def _add(self, plan: _Plan, field: FieldDescriptor, *, required: bool) -> None:
        if required:
            plan.shape.extend(_required(field))
        if field.type == FieldDescriptor.TYPE_ENUM:
            plan.shape.append(_known(field))
        elif field.name == "page_size":
            plan.shape.append(_not_negative(field))
        elif field.type == FieldDescriptor.TYPE_STRING:
            plan.texts.append(_plain(field))
        elif field.message_type is not None:
            assert not field.message_type.GetOptions().map_entry, f"{field.full_name}: maps have no check yet"
            if field.is_repeated and not self._with_elements:
                return
            known = field.message_type.full_name in self._plans
            inner = self.compile(field.message_type)
            # A plan that is still being made may stay empty; to walk it then costs little and happens rarely.
            if inner.shape or known:
                plan.shape.append(_inside(field, lambda: inner.shape))
            if inner.texts or known:
                plan.texts.append(_inside(field, lambda: inner.texts))


def _behaviors(field: FieldDescriptor) -> Sequence[int]:
    # The stubs do not know that a generated extension is one.
    return cast("Any", field.GetOptions().Extensions)[field_behavior]


def _required(field: FieldDescriptor) -> Iterable[_Check]:
    """Checks that a value was given. A number without presence is always given: 0 is a value."""
    name = field.name
    if field.has_presence:

        def has(message: Message, path: str, found: list[Violation]) -> None:
            if not message.HasField(name):
                found.append(Violation(path + name, "is required"))

        return [has]
    sized = field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_ENUM}
    if field.is_repeated or sized:

        def holds(message: Message, path: str, found: list[Violation]) -> None:
            if not getattr(message, name):
                found.append(Violation(path + name, "is required"))

        return [holds]
    return []


def _known(field: FieldDescriptor) -> _Check:
    name = field.name
    assert field.enum_type is not None
    numbers = frozenset(field.enum_type.values_by_number)
    if field.is_repeated:

        def all_known(message: Message, path: str, found: list[Violation]) -> None:
            for index, number in enumerate(getattr(message, name)):
                if not number or number not in numbers:
                    found.append(Violation(f"{path}{name}[{index}]", "is not a value of its enum"))

        return all_known

    def known(message: Message, path: str, found: list[Violation]) -> None:
        if getattr(message, name) not in numbers:
            found.append(Violation(path + name, "is not a value of its enum"))

    return known


def _not_negative(field: FieldDescriptor) -> _Check:
    name = field.name

    def not_negative(message: Message, path: str, found: list[Violation]) -> None:
        if getattr(message, name) < 0:
            found.append(Violation(path + name, "must not be negative"))

    return not_negative


def _plain(field: FieldDescriptor) -> _Check:
    """Checks texts: not too long, and without NUL, which PostgreSQL cannot store."""
    name = field.name
    description = f"must have at most {TEXT_LENGTH_MAX} characters, none of them NUL"
    if field.is_repeated:

        def all_plain(message: Message, path: str, found: list[Violation]) -> None:
            for index, text in enumerate(getattr(message, name)):
                if len(text) > TEXT_LENGTH_MAX or "\0" in text:
                    found.append(Violation(f"{path}{name}[{index}]", description))

        return all_plain

    def plain(message: Message, path: str, found: list[Violation]) -> None:
        text = getattr(message, name)
        if len(text) > TEXT_LENGTH_MAX or "\0" in text:
            found.append(Violation(path + name, description))

    return plain


def _inside(field: FieldDescriptor, steps: Callable[[], list[_Check]]) -> _Check:
    """Checks the messages in a field; stops when more violations were found than anybody is told of."""
    name = field.name
    if field.is_repeated:

        def each(message: Message, path: str, found: list[Violation]) -> None:
            for index, element in enumerate(getattr(message, name)):
                if len(found) >= VIOLATIONS_MAX:
                    return
                for step in steps():
                    step(element, f"{path}{name}[{index}].", found)

        return each

    def one(message: Message, path: str, found: list[Violation]) -> None:
        if message.HasField(name):
            inner = getattr(message, name)
            for step in steps():
                step(inner, f"{path}{name}.", found)

    return one
