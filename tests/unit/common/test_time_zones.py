"""Which time zones may be named."""

from common.time_zones import time_zones


def test_the_names_are_those_of_the_database() -> None:
    assert {"UTC", "Europe/Berlin", "Asia/Kathmandu"} <= time_zones()


def test_no_name_leads_to_the_settings_of_the_machine() -> None:
    assert not {"localtime", "posixrules", "/etc/localtime", ""} & time_zones()
