"""Passwords, outside identities and declared relatives over the wire."""

import uuid

import grpc
import pytest
from argon2 import PasswordHasher
from banyan.assignment.v1 import (
    session_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    staff_account_service_pb2_grpc,
)
from banyan.assignment.v1 import staff_account_service_pb2 as pb
from banyan.assignment.v1.oidc_mapping_pb2 import OidcMapping
from banyan.assignment.v1.staff_pb2 import StaffRelation

from chassis.caller import Role
from services.assignment_svc.store.accounts import conflicts

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
GOOD, BETTER = "correct horse battery", "seven roots of a fig tree"
ISSUER = "https://id.bank"


@pytest.fixture
def stub(service):
    return staff_account_service_pb2_grpc.StaffAccountServiceStub(service.channel)


@pytest.fixture
def sessions(service):
    return session_service_pb2_grpc.SessionServiceStub(service.channel)


async def login_of(office) -> str:
    """A login that no other test has failed with."""
    login = f"mei-{uuid.uuid4().hex[:8]}"
    await office.run("UPDATE staff SET login = :login WHERE staff_id = 'm1'", login=login)
    return login


def set_password(office, stub, password: str = GOOD, staff: str = "m1"):
    request = pb.SetPasswordRequest(name=f"staff/{staff}", password=password, reason="new here")
    return office.ask(stub.SetPassword, request)


async def sign_in(sessions, login: str, password: str) -> session_pb2.Session:
    return await sessions.CreateSession(session_service_pb2.CreateSessionRequest(login=login, password=password))


async def change(sessions, login: str, old: str, new: str) -> None:
    request = session_service_pb2.ChangePasswordRequest(login=login, old_password=old, new_password=new)
    await sessions.ChangePassword(request)


async def test_a_set_password_serves_once_to_choose_another(office, stub, sessions) -> None:
    login = await login_of(office)
    await set_password(office, stub)
    assert (await office.refusal(sign_in(sessions, login, GOOD)))[0] == "PASSWORD_ONCE"
    await change(sessions, login, GOOD, BETTER)
    signed_in = await sign_in(sessions, login, BETTER)
    assert signed_in.staff.name == "staff/m1"
    assert (await office.refusal(sign_in(sessions, login, GOOD)))[0] == "SIGN_IN_REFUSED"


async def test_changing_a_password_ends_every_session(office, stub, sessions) -> None:
    login = await login_of(office)
    await office.run("UPDATE staff SET password_hash = :hash WHERE staff_id = 'm1'", hash=CHEAP.hash(GOOD))
    first = await sign_in(sessions, login, GOOD)
    await change(sessions, login, GOOD, BETTER)
    refresh = session_service_pb2.RefreshSessionRequest(refresh_token=first.refresh_token)
    assert (await office.refusal(sessions.RefreshSession(refresh)))[0] == "REFRESH_REFUSED"
    second = await sign_in(sessions, login, BETTER)
    answer = await set_password(office, stub)
    assert answer.session_count == 1
    refresh.refresh_token = second.refresh_token
    assert (await office.refusal(sessions.RefreshSession(refresh)))[0] == "REFRESH_REFUSED"


async def test_nobody_changes_a_password_without_the_old_one_or_to_a_weak_one(office, sessions) -> None:
    login = await login_of(office)
    await office.run("UPDATE staff SET password_hash = :hash WHERE staff_id = 'm1'", hash=CHEAP.hash(GOOD))
    for old, new, reason, fields in (
        ("wrong", BETTER, "SIGN_IN_REFUSED", []),
        (GOOD, "short", "PASSWORD_WEAK", ["new_password"]),
        (GOOD, f"{login}-2026", "PASSWORD_WEAK", ["new_password"]),
        (GOOD, GOOD, "PASSWORD_WEAK", ["new_password"]),
        (GOOD, "x" * 257, "FIELD_INVALID", ["new_password"]),
        (GOOD, "", "FIELD_INVALID", ["new_password"]),
    ):
        told = await office.refusal(change(sessions, login, old, new))
        assert (told[0], told[2]) == (reason, fields)
    unknown = await office.refusal(change(sessions, f"nobody-{uuid.uuid4()}", GOOD, BETTER))
    assert unknown[0] == "SIGN_IN_REFUSED"


async def test_failures_to_change_a_password_are_counted_with_those_of_signing_in(office, sessions) -> None:
    login = await login_of(office)
    for number in range(10):
        attempt = change(sessions, login, "wrong", BETTER) if number % 2 else sign_in(sessions, login, "wrong")
        assert (await office.refusal(attempt))[0] == "SIGN_IN_REFUSED"
    assert (await office.refusal(change(sessions, login, "wrong", BETTER)))[0] == "SIGN_IN_THROTTLED"
    assert (await office.refusal(sign_in(sessions, login, "wrong")))[0] == "SIGN_IN_THROTTLED"


async def test_a_password_is_set_for_others_who_have_a_login_and_never_remembered(office, stub) -> None:
    for staff, password, reason, fields in (
        ("m1", "password1234", "PASSWORD_WEAK", ["password"]),
        ("boss", GOOD, "LOGIN_MISSING", []),
        ("admin", GOOD, "OWN_ACCOUNT", []),
        ("nobody", GOOD, "NOT_FOUND", []),
    ):
        told = await office.refusal(set_password(office, stub, password, staff))
        assert (told[0], told[2]) == (reason, fields)
    request = pb.SetPasswordRequest(name="staff/m1", password=GOOD, reason="new", request_id=str(uuid.uuid4()))
    first = await office.ask(stub.SetPassword, request)
    request.password = BETTER
    assert await office.ask(stub.SetPassword, request) == first
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.ask(stub.SetPassword, request, Role.BRANCH_HEAD)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_reset_takes_the_password_and_the_sessions(office, stub, sessions) -> None:
    login = await login_of(office)
    await office.run("UPDATE staff SET password_hash = :hash WHERE staff_id = 'm1'", hash=CHEAP.hash(GOOD))
    signed_in = await sign_in(sessions, login, GOOD)
    answer = await office.ask(stub.ResetPassword, pb.ResetPasswordRequest(name="staff/m1", reason="stolen"))
    assert answer.session_count == 1
    assert (await office.refusal(sign_in(sessions, login, GOOD)))[0] == "SIGN_IN_REFUSED"
    refresh = session_service_pb2.RefreshSessionRequest(refresh_token=signed_in.refresh_token)
    assert (await office.refusal(sessions.RefreshSession(refresh)))[0] == "REFRESH_REFUSED"


async def test_an_identity_and_a_member_have_one_mapping_at_an_issuer(office, stub) -> None:
    async def create(subject: str, staff: str) -> OidcMapping:
        mapping = OidcMapping(issuer=ISSUER, subject=subject, staff=f"staff/{staff}")
        return await office.ask(stub.CreateOidcMapping, pb.CreateOidcMappingRequest(oidc_mapping=mapping, reason="new"))

    made = await create("u1", "m1")
    other = await create("u2", "m2")
    assert (made.subject, made.staff, made.actor) == ("u1", "staff/m1", "admin")
    assert (await office.refusal(create("u1", "head")))[0] == "OIDC_MAPPING_TAKEN"
    assert (await office.refusal(create("u3", "m1")))[0] == "OIDC_MAPPING_TAKEN"
    unknown = await office.refusal(create("u3", "nobody"))
    assert (unknown[0], unknown[2]) == ("REFERENCE_UNKNOWN", ["oidc_mapping.staff"])
    long = await office.refusal(create("x" * 256, "head"))
    assert long[2] == ["oidc_mapping.subject"]
    request = pb.ListOidcMappingsRequest(page_size=1)
    first = await office.ask(stub.ListOidcMappings, request)
    request.page_token = first.next_page_token
    second = await office.ask(stub.ListOidcMappings, request)
    listed = [*first.oidc_mappings, *second.oidc_mappings]
    assert listed == sorted([made, other], key=lambda one: one.name)
    own = await office.ask(stub.ListOidcMappings, pb.ListOidcMappingsRequest(staff="staff/m2"))
    assert list(own.oidc_mappings) == [other]
    assert await office.ask(stub.GetOidcMapping, pb.GetOidcMappingRequest(name=made.name)) == made
    await office.ask(stub.DeleteOidcMapping, pb.DeleteOidcMappingRequest(name=made.name))
    gone = office.ask(stub.GetOidcMapping, pb.GetOidcMappingRequest(name=made.name))
    assert (await office.refusal(gone))[0] == "NOT_FOUND"
    again = office.ask(stub.DeleteOidcMapping, pb.DeleteOidcMappingRequest(name=made.name))
    assert (await office.refusal(again))[0] == "NOT_FOUND"


async def test_relatives_are_declared_by_oneself_and_taken_back_by_administrators(office, stub, service) -> None:
    def declare(customer: str, kind: StaffRelation.Kind, staff: str = "m1", *roles: Role):
        request = pb.DeclareStaffRelationRequest(parent="staff/m1", customer=f"customers/{customer}", kind=kind)
        return office.ask(stub.DeclareStaffRelation, request, *roles, staff=staff)

    spouse = await declare("c1", StaffRelation.KIND_SPOUSE, "m1", Role.MANAGER)
    assert (spouse.staff_relation.customer, spouse.staff_relation.actor) == ("customers/c1", "m1")
    await declare("c9", StaffRelation.KIND_SELF)
    async with service.parts.database.read() as conn:
        assert await conflicts(conn, "m1") == {"m1", "c1", "c9"}
    assert (await office.refusal(declare("c1", StaffRelation.KIND_OTHER, "m1", Role.MANAGER)))[0] == "OWN_ACCOUNT"
    assert (await office.refusal(declare("c2", StaffRelation.KIND_CHILD, "m2", Role.MANAGER)))[0] == "NOT_FOUND"
    unspecified = await office.refusal(declare("c2", StaffRelation.KIND_UNSPECIFIED))
    assert unspecified[2] == ["kind"]
    listing = pb.ListStaffRelationsRequest(parent="staff/m1")
    own = await office.ask(stub.ListStaffRelations, listing, Role.MANAGER, staff="m1")
    assert [one.customer for one in own.staff_relations] == ["customers/c1", "customers/c9"]
    assert (await office.refusal(office.ask(stub.ListStaffRelations, listing, Role.MANAGER, staff="m2")))[
        0
    ] == "NOT_FOUND"
    withdrawal = pb.WithdrawStaffRelationRequest(name=spouse.staff_relation.name, reason="divorced")
    assert (await office.refusal(office.ask(stub.WithdrawStaffRelation, withdrawal, staff="m1")))[0] == "OWN_ACCOUNT"
    await office.ask(stub.WithdrawStaffRelation, withdrawal)
    gone = office.ask(stub.GetStaffRelation, pb.GetStaffRelationRequest(name=spouse.staff_relation.name))
    assert (await office.refusal(gone))[0] == "NOT_FOUND"


async def test_whose_relative_is_who_stands_in_the_audit_and_not_in_the_log_for_good(office, stub) -> None:
    customer = f"near-{uuid.uuid4().hex[:8]}"
    declaring = pb.DeclareStaffRelationRequest(
        parent="staff/m1", customer=f"customers/{customer}", kind=StaffRelation.KIND_SPOUSE
    )
    made = (await office.ask(stub.DeclareStaffRelation, declaring)).staff_relation
    await office.ask(stub.GetStaffRelation, pb.GetStaffRelationRequest(name=made.name))
    await office.ask(stub.ListStaffRelations, pb.ListStaffRelationsRequest(parent="staff/m1"))
    await office.ask(stub.WithdrawStaffRelation, pb.WithdrawStaffRelationRequest(name=made.name, reason="divorced"))
    kept = await office.run("SELECT method FROM audit WHERE customer_id = :id ORDER BY audit_id", id=customer)
    assert [method for (method,) in kept] == [
        "DeclareStaffRelation",
        "GetStaffRelation",
        "ListStaffRelations",
        "WithdrawStaffRelation",
    ]
    log = await office.run("SELECT before::text || after::text FROM org_change_entry WHERE subject = 'STAFF_RELATION'")
    assert log
    assert not any(customer in line for (line,) in log)


async def test_nobody_claims_or_is_given_a_declared_relative(by_hand) -> None:
    await by_hand.run("TRUNCATE staff_relation")
    await by_hand.run(
        "INSERT INTO staff_relation (customer_id, staff_id, kind, actor) VALUES ('c0', 'm1', 'CHILD', 'm1')"
    )
    assert await by_hand.reason(by_hand.asker("m1").claim()) == "MANAGER_UNFIT"
    assert await by_hand.reason(by_hand.asker("head", Role.BRANCH_HEAD).assign("m1")) == "MANAGER_UNFIT"
    await by_hand.asker("m2").claim()
    await by_hand.run("TRUNCATE staff_relation")
