"""Starts one program under the supervisor: records the process, then becomes the program.

Run as `python -m stack.launch SPECIFICATION RECORD`. Because of exec the recorded id is the
program's own, also after each restart by the supervisor.
"""

import json
import os
import pwd
import sys
from pathlib import Path

from stack import records

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE")


def main() -> None:
    specification = json.loads(Path(sys.argv[1]).read_text())
    command: list[str] = specification["command"]
    records.write_own(Path(sys.argv[2]), specification["name"], command)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name.startswith("OTEL_")
    }
    environment |= specification["environment"]
    os.chdir(specification["folder"])
    if specification["user"] and os.geteuid() == 0:
        account = pwd.getpwnam(specification["user"])
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.execvpe(command[0], command, environment)  # noqa: S606 - the point of this module


if __name__ == "__main__":
    main()
