"""What operators may set for assignment_svc."""

from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, in `__main__`; every field is an environment variable with the prefix BANYAN_ASSIGNMENT_."""

    model_config = SettingsConfigDict(env_prefix="BANYAN_ASSIGNMENT_", frozen=True)
