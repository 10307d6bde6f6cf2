"""What operators may set for assignment_svc."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, in `__main__`; every field is an environment variable with the prefix BANYAN_ASSIGNMENT_."""

    model_config = SettingsConfigDict(env_prefix="BANYAN_ASSIGNMENT_", frozen=True)

    oidc_issuer: str = Field(
        default="", description="The bank's OIDC issuer, as its tokens name it (`iss`); empty means none."
    )
    oidc_audience: str = Field(
        default="", description="For whom the issuer's id tokens must be (`aud`): our client id."
    )
    oidc_jwks: str = Field(
        default="",
        pattern=r"^(https://.+|http://(127\.0\.0\.1|localhost)[:/].*|/.+)?$",
        description="The issuer's key set: an https URL (http on this machine only), or a file.",
    )
    oidc_ca: Path | None = Field(
        default=None, description="The authority of that URL's certificate (PEM); unset means those of the machine."
    )
    oidc_login_claim: str = Field(
        default="",
        description="The claim that tells a staff member's login at his first sign-in, such as `preferred_username`; "
        "empty means that administrators map everybody.",
    )
    oidc_roles_claim: str = Field(
        default="",
        description="The claim that tells role codes; a session has those of them that the staff member has. "
        "Empty means all that he has.",
    )
