"""What is installed is what was locked, and the lock is that of setup.cfg."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)


def locked():
    text = (ROOT / "requirements.lock").read_text()
    return {canonicalize_name(pin["name"]): pin["version"] for pin in PIN.finditer(text)}


NOT_LOCKED = ("spark",)
"""Extras that `dev` leaves out: pyspark is 400 MB, and needs Java."""


def wanted():
    """The requirements of setup.cfg with those of all its extras that are locked."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].splitlines()
    for name, extra in config["options.extras_require"].items():
        if name in NOT_LOCKED:
            continue
        lines += [line for line in extra.splitlines() if "%(" not in line]
    found = [Requirement(line) for line in lines if line.strip()]
    # The lock is that of one Python.
    locked_for = {"python_version": "3.11"}
    return [each for each in found if each.marker is None or each.marker.evaluate(locked_for)]


def test_the_lock_satisfies_setup_cfg():
    pins = locked()
    for requirement in wanted():
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not locked: run make lock"
        assert requirement.specifier.contains(version), f"{requirement}: run make lock"


def test_every_locked_package_has_hashes_and_no_place():
    entries = (ROOT / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    assert len(entries) == len(locked()) > 50
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
        assert "://" not in entry
        assert " @ " not in entry


def test_make_installs_the_lock_alone():
    makefile = (ROOT / "Makefile").read_text()
    assert "pip install --quiet --require-hashes --requirement $(LOCK)" in makefile
    assert "--no-deps --no-build-isolation --editable ." in makefile
    assert "--upgrade pip" not in makefile


def test_maven_checks_what_it_downloads():
    assert "--strict-checksums" in (ROOT / "android_demo/android.mk").read_text()
