"""The archive's address comes from this machine's apt configuration, whatever its form."""

from pathlib import Path

import pytest

from stack.debian import archive_mirror, is_debian
from stack.supervisor import StackError

DEB822 = """\
Types: deb
# a comment between the fields
URIs: http://archive.test/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://archive.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def test_the_archive_of_a_sources_file_not_the_security_one(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert archive_mirror(tmp_path) == "http://archive.test/debian"


def test_the_archive_of_an_old_sources_list(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb http://comment.test/debian bookworm main\n"
        "deb http://archive.test/debian-security bookworm-security main\n"
        "deb [signed-by=/usr/share/keyrings/a.gpg] http://archive.test/debian/ bookworm main\n"
    )
    assert archive_mirror(tmp_path) == "http://archive.test/debian/"


def test_no_archive_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="apt"):
        archive_mirror(tmp_path)


def test_debian_is_known_by_its_id(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('NAME="Debian GNU/Linux"\nID=debian\n')
    assert is_debian(release)
    release.write_text('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')
    assert not is_debian(release)
    assert not is_debian(tmp_path / "none")
