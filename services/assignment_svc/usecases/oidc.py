"""Signs staff in by the bank's OIDC issuer, and keeps whom its identities speak for."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import clock
from chassis.errors import Kind, Refused, invalid_field, not_found
from chassis.sql.engine import Database
from services.assignment_svc.domain.oidc import Identity, Issuer, identity_of
from services.assignment_svc.store import oidc_mappings, org, org_changes, org_writes, sessions
from services.assignment_svc.store.oidc_mappings import OidcMapping
from services.assignment_svc.store.org_changes import Telling
from services.assignment_svc.usecases.sessions import SignIn, begin_session, sign_in_refused

ACTOR = "oidc"
# The claims of a token that the issuer signed; None for any other.
Claims = Callable[[str], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True)
class OidcSignIn:
    """Signs in by id tokens of one issuer."""

    database: Database
    issuer: Issuer
    claims: Claims

    async def sign_in(self, id_token: str, nonce: str) -> SignIn:
        """Begins a session for whom the token speaks for. A token serves once; refused is all alike."""
        claims = await self.claims(id_token)
        async with self.database.read() as conn:
            now = await sessions.now(conn)
        identity = identity_of(claims, self.issuer, nonce, now) if claims is not None else None
        if identity is None:
            raise sign_in_refused()
        told = identity
        # What was signed, without the signature, which can be written in more ways than one.
        token_hash = hashlib.sha256(id_token.rpartition(".")[0].encode()).digest()
        return await self.database.repeat(lambda tx: self._begin(tx, told, token_hash))

    async def _begin(self, tx: AsyncConnection, identity: Identity, token_hash: bytes) -> SignIn:
        if not await oidc_mappings.use_token(tx, token_hash, identity.expire_time):
            raise sign_in_refused()
        staff_id = await oidc_mappings.staff_of(tx, self.issuer.issuer, identity.subject)
        if staff_id is None:
            staff_id = await self._map(tx, identity)
        staff = await org.get_staff(tx, staff_id)
        now = await sessions.now(tx)
        if staff is None or not staff.is_active(clock.bank_date(now)):
            raise sign_in_refused()
        signed_in = await begin_session(tx, staff, now, identity.role_limit)
        if not signed_in.staff.roles:
            raise sign_in_refused()
        return signed_in

    async def _map(self, tx: AsyncConnection, identity: Identity) -> str:
        """Maps an identity by the login that its first token tells; a member whom another one has is not taken over."""
        owners = await org_writes.login_owners(tx, [identity.login]) if identity.login else {}
        staff_id = next(iter(owners.values()), None)
        if staff_id is None:
            raise sign_in_refused()
        await org_changes.tell(tx, Telling(ACTOR, "CreateOidcSession", reason="first sign-in"))
        mapping = await oidc_mappings.add_mapping(tx, self.issuer.issuer, identity.subject, staff_id, ACTOR)
        if mapping is None:
            raise sign_in_refused()
        return staff_id


async def create_mapping(
    tx: AsyncConnection, telling: Telling, issuer: str, subject: str, staff_id: str
) -> OidcMapping:
    """Lets an identity sign in as a staff member."""
    if await org.get_staff(tx, staff_id) is None:
        raise invalid_field("oidc_mapping.staff", "names nobody who exists", "REFERENCE_UNKNOWN")
    await org_changes.tell(tx, telling)
    mapping = await oidc_mappings.add_mapping(tx, issuer, subject, staff_id, telling.actor)
    if mapping is None:
        message = "the identity, or the staff member at this issuer, has a mapping already"
        raise Refused(Kind.ALREADY_EXISTS, "OIDC_MAPPING_TAKEN", message)
    return mapping


async def delete_mapping(tx: AsyncConnection, telling: Telling, mapping_id: str) -> None:
    """Takes a mapping away, with the sessions that may have come by it."""
    await org_changes.tell(tx, telling)
    mapping = await oidc_mappings.remove_mapping(tx, mapping_id)
    if mapping is None:
        raise not_found()
    await sessions.end_sessions(tx, [mapping.staff_id])
