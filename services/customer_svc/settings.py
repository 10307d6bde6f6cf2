"""What operators may set for customer_svc."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, in `__main__`; every field is an environment variable with the prefix BANYAN_CUSTOMER_."""

    model_config = SettingsConfigDict(env_prefix="BANYAN_CUSTOMER_", frozen=True)

    data_keys: Path = Field(
        description="The folder of data keys: `cipher/<key id>.key` and `hash/<key id>.key`. They open and find id "
        "numbers and mobiles; who loses them loses those."
    )
