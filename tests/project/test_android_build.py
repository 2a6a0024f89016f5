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
    # Robolectric's names begin with the version of Android, 20 less than the number of the SDK.
    assert int(MAVEN["android.tested.version"].split("-")[0]) + 20 == int(GRADLE["targetSdk"])
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


def test_gradle_publishes_what_the_script_publishes():
    script = (APP / "publish.sh").read_text()
    for module, artifact in (("core", "memcom-core"), ("ranker", "memcom-ranker")):
        gradle = (APP / module / "build.gradle.kts").read_text()
        assert f'artifactId = "{artifact}"' in gradle
        assert re.search(rf"^deploy {artifact} ", script, re.MULTILINE)
    assert 'group = "memcom"' in (APP / "build.gradle.kts").read_text()
    assert "<groupId>memcom</groupId>\n  <artifactId>$1</artifactId>" in script
    namespace = re.search(r'namespace = "(.*)"', (APP / "ranker/build.gradle.kts").read_text())[1]
    assert f'package="{namespace}"' in script
    assert f"memcom:memcom-ranker:{GRADLE['versionName']}" in (APP / "README.md").read_text()


def test_the_wrapper_says_how_its_jar_is_made_and_runs_it(tmp_path):
    """The jar is a downloaded binary, so the repository does not hold it."""
    wrapper = tmp_path / "gradle" / "wrapper"
    wrapper.mkdir(parents=True)
    script = tmp_path / "gradlew"
    script.write_bytes((APP / "gradlew").read_bytes())
    script.chmod(0o755)
    properties = (APP / "gradle/wrapper/gradle-wrapper.properties").read_text()
    version = re.search(r"gradle-([\d.]+)-bin\.zip$", properties, re.MULTILINE)[1]
    assert re.search(r"^distributionSha256Sum=[0-9a-f]{64}$", properties, re.MULTILINE)
    how = f"`gradle wrapper --gradle-version {version}`"
    refused = subprocess.run([script, "tasks"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert how in refused.stderr
    assert how in (APP / "gradlew.bat").read_text()
    assert how.strip("`") in (APP / "README.md").read_text()
    (wrapper / "gradle-wrapper.jar").touch()
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    ran = subprocess.run(
        [script, "a task", "-Plitert"],
        env={"JAVA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-3:] == [
        "org.gradle.wrapper.GradleWrapperMain",
        "a task",
        "-Plitert",
    ]
    assert str(wrapper / "gradle-wrapper.jar") in ran.stdout
    ignored = (APP.parent / ".gitignore").read_text()
    assert "android_demo/gradle/wrapper/gradle-wrapper.jar" in ignored
