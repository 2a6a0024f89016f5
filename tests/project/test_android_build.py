"""What Gradle's and Maven's files of the app both say must be the same."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import tomllib

APP = Path(__file__).parents[2] / "android_demo"
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
MAVEN = {
    element.tag.removeprefix(NAMESPACE): element.text
    for element in ElementTree.parse(APP / "pom.xml").getroot().find(f"{NAMESPACE}properties")
}
GRADLE = tomllib.loads((APP / "gradle" / "libs.versions.toml").read_text())["versions"]


@pytest.mark.parametrize(
    ("gradle", "maven"),
    [
        ("minSdk", "android.minSdk"),
        ("targetSdk", "android.targetSdk"),
        ("versionCode", "android.versionCode"),
        ("versionName", "android.versionName"),
        ("gson", "gson.version"),
        ("junit", "junit.version"),
        ("kotlin", "kotlin.version"),
        ("tflite", "tflite.version"),
    ],
)
def test_versions_are_the_same(gradle, maven):
    assert GRADLE[gradle] == MAVEN[maven]


def test_gradle_files_name_no_version_of_their_own():
    for path in APP.rglob("*.gradle.kts"):
        text = path.read_text()
        assert not re.search(r"(Sdk|versionCode|versionName) = [\"\d]", text), path
        assert not re.search(r"\"[\w.-]+:[\w.-]+:\d", text), path


def test_the_frameworks_of_tests_and_of_the_manifest_are_one():
    assert GRADLE["compileSdk"] == GRADLE["targetSdk"]
    sdk = re.search(
        r"^sdk=(\d+)$", (APP / "app/src/test/resources/robolectric.properties").read_text(), re.M
    )
    assert sdk[1] == GRADLE["targetSdk"]


def test_the_namespace_is_that_of_the_linked_manifest():
    (namespace,) = re.findall(r'namespace = "([\w.]+)"', (APP / "app/build.gradle.kts").read_text())
    (package,) = re.findall(r'package="([\w.]+)"', (APP / "tools/link_resources.sh").read_text())
    assert namespace == package


def test_core_imports_nothing_from_android_and_the_ranker_only_the_runtime():
    allowed = {
        "core": r"(java|kotlin|memcom\.core|com\.google\.gson\.stream)\.",
        "ranker": r"(java|kotlin|memcom\.core|org\.tensorflow\.lite)\.",
    }
    for module, pattern in allowed.items():
        sources = list((APP / module / "src/main").rglob("*.kt"))
        assert sources
        for path in sources:
            for name in re.findall(r"^import (.*)$", path.read_text(), re.MULTILINE):
                assert re.match(pattern, name), f"{path}: {name}"


def test_the_manifest_asks_for_no_permission():
    assert "uses-permission" not in (APP / "app/src/main/AndroidManifest.xml").read_text()


def test_web_packages_are_pinned():
    package = (APP / "web/package.json").read_text()
    versions = re.findall(
        r'"(?:@litertjs/core|fflate|flatbuffers|puppeteer-core)": "(.*)"', package
    )
    assert len(versions) == 4
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)


def test_serving_the_page_needs_no_browser_and_testing_it_does(tmp_path):
    for name in ("node", "npm", "bash"):
        (tmp_path / name).symlink_to("/bin/true" if name != "bash" else "/bin/bash")
    script, only = APP / "tools" / "install.sh", {"PATH": str(tmp_path)}
    command = ["/bin/bash", str(script)]
    served = subprocess.run([*command, "web"], env=only, capture_output=True, text=True)
    assert served.returncode == 0, served.stderr
    tested = subprocess.run([*command, "web_test"], env=only, capture_output=True, text=True)
    assert tested.returncode == 1
    assert "These must be installed: chromium." in tested.stderr
