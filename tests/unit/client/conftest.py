"""The `tollgate` command against a small platform."""

from collections.abc import Iterator

import pytest

from tests.unit.client.fake import Service
from tests.unit.client.platform import Platform, Run, running
from tollgate.cli.main import app


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def service(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with running(platform, monkeypatch) as service:
        yield service


@pytest.fixture
def run(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs the command as the console script does: (exit code, stdout, stderr)."""

    def command(*arguments: str, code: int = 0) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tollgate", *arguments])
        with pytest.raises(SystemExit) as ended:
            app()
        out, err = capfd.readouterr()
        assert (ended.value.code or 0) == code, out + err
        return code, out, err

    return command
