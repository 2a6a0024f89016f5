"""The finished APK without a phone: its dex, resources, models and x86_64 library at work."""

from __future__ import annotations

import os
import subprocess
import zipfile

from .conftest import APP, BUILD

LIBRARY = "lib/x86_64/libtensorflowlite_jni.so"
# What the APK must bring itself.
OWN = (
    "/kotlin-stdlib-",
    "/core/target/",
    "/ranker/target/",
    "/tflite/target/",
    "/core-1.jar",
    "/gson-",
)


def test_the_finished_apk_runs(tmp_path):
    apk = BUILD / "memcom-demo.apk"
    with zipfile.ZipFile(apk) as archive:
        archive.extractall(tmp_path / "apk")
    classes = tmp_path / "apk.jar"
    dex2jar = "com.googlecode.dex2jar.tools.Dex2jarCmd"
    tools = APP / "tools" / "target" / "lib"
    subprocess.run(["java", "-cp", f"{tools}/*", dex2jar, "-f", "-o", classes, apk], check=True)
    shim = APP / "tools" / "glibc-shim" / "build.sh"
    subprocess.run([shim, tmp_path / "apk" / LIBRARY, tmp_path / "shim"], check=True)

    resources = tmp_path / "resources"
    (resources / "com/android/tools").mkdir(parents=True)
    properties = (APP / "app/src/test/resources/robolectric.properties").read_text()
    (resources / "robolectric.properties").write_text(properties)
    (resources / "com/android/tools/test_config.properties").write_text(
        f"android_merged_manifest={APP}/app/target/AndroidManifest.xml\n"
        f"android_merged_assets={tmp_path}/apk/assets\n"
        f"android_resource_apk={apk}\n"
        "android_custom_package=memcom.demo\n"
    )
    listed = (APP / "app/target/test-classpath").read_text().strip().split(":")
    others = [path for path in listed if not any(part in path for part in OWN)]
    assert len(listed) - len(others) == 5, listed
    classpath = ":".join(map(str, [resources, tmp_path / "test", classes, *others]))
    (tmp_path / "test").mkdir()
    source = APP / "apk_tests/java/ApkTest.java"
    subprocess.run(
        ["javac", "-nowarn", "-cp", classpath, "-d", tmp_path / "test", source], check=True
    )
    done = subprocess.run(
        [
            *("java", "-Xmx2g", "-cp", classpath),
            # dex2jar writes no frames for the verifier.
            *("-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"),
            *(
                "--add-opens=java.base/java.lang=ALL-UNNAMED",
                "--add-opens=java.base/java.io=ALL-UNNAMED",
            ),
            f"-Djava.library.path={tmp_path}/apk/lib/x86_64",
            *("-Drobolectric.offline=true", "-Drobolectric.usePreinstrumentedJars=false"),
            f"-Drobolectric.dependency.dir={APP}/app/target/framework",
            *(f"-Dapk={tmp_path}/apk", f"-Dmodels={BUILD}/models", f"-Dfixtures={BUILD}/fixtures"),
            *("org.junit.runner.JUnitCore", "ApkTest"),
        ],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path / "shim")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK (4 tests)" in done.stdout
