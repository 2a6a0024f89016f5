"""The published library: what is in it, and a project of its own that ranks with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import numpy as np
import pytest

from memcom_tf.converters import CompressedModelFile

from .conftest import APP, BUILD
from .test_apk import NAMESPACE, PROPERTIES

VERSION = PROPERTIES["android.versionName"]
REPOSITORY = BUILD / "maven"
TITLES = ("Star Wars (1977)", "Fargo (1996)", "Alien (1979)")


def published(artifact: str, kind: str) -> Path:
    return REPOSITORY / "memcom" / artifact / VERSION / f"{artifact}-{VERSION}.{kind}"


def test_the_archive_has_the_parts_of_one_without_resources():
    with zipfile.ZipFile(published("memcom-ranker", "aar")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    android = "{http://schemas.android.com/apk/res/android}"
    manifest = ElementTree.fromstring(parts.pop("AndroidManifest.xml"))
    assert manifest.attrib == {"package": "memcom.tflite"}
    assert [(found.tag, found.attrib) for found in manifest] == [
        ("uses-sdk", {f"{android}minSdkVersion": PROPERTIES["android.minSdk"]})
    ]
    assert parts.pop("R.txt") == b""
    assert b"-keep class org.tensorflow.lite.**" in parts.pop("proguard.txt")
    assert b"aarFormatVersion=1.0" in parts.pop(
        "META-INF/com/android/build/gradle/aar-metadata.properties"
    )
    assert list(parts) == ["classes.jar"]


def test_its_classes_are_the_ranker_s_and_the_reader_s(tmp_path):
    jar = tmp_path / "classes.jar"
    with zipfile.ZipFile(published("memcom-ranker", "aar")) as archive:
        jar.write_bytes(archive.read("classes.jar"))
    for path, package, known in (
        (jar, "memcom/tflite", "TfliteRanker"),
        (published("memcom-core", "jar"), "memcom/core", "ModelFile"),
    ):
        with zipfile.ZipFile(path) as archive:
            classes = [name for name in archive.namelist() if name.endswith(".class")]
        assert f"{package}/{known}.class" in classes
        assert {os.path.dirname(name) for name in classes} == {package}


def test_what_it_needs_is_said_with_the_versions_that_are_tested():
    def dependencies(artifact):
        root = ElementTree.parse(published(artifact, "pom")).getroot()
        return {
            found.find(f"{NAMESPACE}artifactId").text: (
                found.find(f"{NAMESPACE}version").text,
                found.findtext(f"{NAMESPACE}type"),
            )
            for found in root.iter(f"{NAMESPACE}dependency")
        }

    stdlib = (PROPERTIES["kotlin.version"], None)
    assert dependencies("memcom-core") == {
        "kotlin-stdlib": stdlib,
        "gson": (PROPERTIES["gson.version"], None),
    }
    assert dependencies("memcom-ranker") == {
        "kotlin-stdlib": stdlib,
        "memcom-core": (VERSION, None),
        "tensorflow-lite": (PROPERTIES["tflite.version"], "aar"),
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The example, built apart from ours: Maven finds all but our library in its usual cache."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(APP / "library_example", folder / "example")
    usual = Path.home() / ".m2" / "repository"
    (folder / "cache").mkdir()
    for found in usual.iterdir():
        if found.name != "memcom":
            (folder / "cache" / found.name).symlink_to(found)
    versions = {
        "memcom.version": VERSION,
        "memcom.repository": f"file://{REPOSITORY}",
        "kotlin.version": PROPERTIES["kotlin.version"],
        "tflite.version": PROPERTIES["tflite.version"],
        "maven.repo.local": folder / "cache",
        "kotlin.compiler.daemon": "false",
    }
    done = subprocess.run(
        [
            *("mvn", "--batch-mode", "--strict-checksums", "--quiet", "package"),
            *(f"-D{name}={value}" for name, value in versions.items()),
        ],
        cwd=folder / "example",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "example"


def test_a_project_of_its_own_ranks_with_it(project):
    """With the x86_64 library of TensorFlow Lite's archive on the host, as our own tests."""
    model = BUILD / "models" / "memcom_int8.tflite"
    classpath = (project / "use/target/classpath").read_text().strip()
    libraries = project / "archives/target/runtime/jni/x86_64"
    shim = APP / "tools/glibc-shim/target/x86_64"
    done = subprocess.run(
        [
            *("java", "-cp", f"{project / 'use/target/classes'}:{classpath}"),
            *(f"-Djava.library.path={libraries}", "UseKt", model, *TITLES),
        ],
        env={**os.environ, "LD_LIBRARY_PATH": str(shim)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    file = CompressedModelFile(model)
    ids_of_all = np.arange(file.vocabulary.first_id, file.vocabulary.input_dim)
    titles = file.vocabulary.detail("title", ids_of_all)
    history = [ids_of_all[titles == title][0] for title in TITLES]
    ids, scores = file.rank(history)
    assert [int(row[0]) for row in rows] == list(map(int, ids))
    assert [float(row[1]) for row in rows] == pytest.approx(list(map(float, scores)), abs=1e-4)
    assert all(row[3] in (*TITLES, "null") for row in rows)
