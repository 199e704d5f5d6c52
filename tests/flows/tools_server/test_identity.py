"""Who a session is: this machine's own user, or the holder of a key that the door of this machine issued."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.surface import read_settings_of
from fakes.workspace import Workspace

from engine.errors import InputError, StoreError
from engine.settings import Settings
from flows.api.keys.keyring import issue_key
from flows.tools_server.identity import MachineUser, identify


def name_key(workspace: Workspace, path: Path, secret: str) -> Settings:
    return read_settings_of(workspace, {"EXEMPLARS_KEYS_FILE": str(path), "EXEMPLARS_MCP_KEY": secret})


def test_machines_user_is_found_by_its_own_secret_alone(settings: Settings) -> None:
    identity = identify(settings)

    assert isinstance(identity.find_key(identity.secret), MachineUser)
    assert identity.find_key("exm_000000000000_x\udc80") is None
    assert identity.secret not in repr(identity)


def test_key_of_the_settings_is_that_of_the_session_if_the_door_issued_it(workspace: Workspace, tmp_path: Path) -> None:
    path, foreign = tmp_path / "keys.json", "exm_0123456789ab_of-another-machine"
    key, secret = issue_key(path, ["acme"], "authoring", datetime.now(UTC))

    assert key == identify(name_key(workspace, path, secret)).key
    with pytest.raises(InputError, match="EXEMPLARS_MCP_KEY is none of the keys in") as refused:
        identify(name_key(workspace, path, foreign))
    assert foreign not in str(refused.value)
    path.chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        identify(name_key(workspace, path, secret))
