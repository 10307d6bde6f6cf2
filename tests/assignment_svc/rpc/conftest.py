"""A small bank for tests of what administrators change of the organisation, and whoever calls there."""

import uuid
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Role

_EMPTY = """
TRUNCATE branch, staff, session, branch_period, planned_org_change, staff_leave, staff_relation, oidc_mapping, owner,
  ownership
"""
_BRANCHES = """
INSERT INTO branch (branch_id, display_name, parent_id) VALUES
  ('root', 'Root', NULL), ('north', 'North', 'root'), ('south', 'South', 'root'), ('leaf', 'Leaf', 'north')
"""
_STAFF = """
INSERT INTO staff (staff_id, display_name, branch_id, roles, login) VALUES
  ('admin', 'Ada', 'root', '{ADMIN}', 'ada'), ('head', 'Hua', 'north', '{BRANCH_HEAD}', 'hua'),
  ('boss', 'Bao', 'root', '{BRANCH_HEAD}', NULL), ('m1', 'Mei', 'north', '{MANAGER}', 'mei'),
  ('m2', 'Min', 'leaf', '{MANAGER}', 'min')
"""


class Office:
    """A root with two branches and some staff."""

    def __init__(self, service: Any) -> None:
        self.service = service

    async def run(self, statement: str, **values: object) -> list[Any]:
        """Again, if it met the service's jobs."""

        async def work(tx: AsyncConnection) -> list[Any]:
            found = await tx.execute(text(statement), values)
            return [tuple(row) for row in found] if found.returns_rows else []

        return await self.service.parts.database.repeat(work)

    async def ask(self, call: Any, request: Any, *roles: Role, staff: str = "admin", branch: str = "root") -> Any:
        """Calls as an administrator, or as somebody else; a write gets a request id unless it has one."""
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
            request.request_id = str(uuid.uuid4())
        signed_in = self.service.signed_in.staff(*(roles or (Role.ADMIN,)), staff_id=staff, branch_id=branch)
        return await call(request, metadata=signed_in)

    @staticmethod
    async def refusal(call: Awaitable[object]) -> tuple[str, dict[str, str], list[str]]:
        """Why, with what, and which fields."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        status = rpc_status.from_call(caught.value)  # pyright: ignore[reportArgumentType]  # works for aio too
        assert status, caught.value.details()
        info, fields = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(fields)
        return info.reason, dict(info.metadata), [violation.field for violation in fields.field_violations]


@pytest.fixture
async def office(service: Any) -> Office:
    made = Office(service)
    for statement in (_EMPTY, _BRANCHES, _STAFF):
        await made.run(statement)
    return made
