"""The finished APKs, by the tools that phones and stores go by."""

from __future__ import annotations

import re
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest

from .conftest import APP, BUILD, MODELS

ABIS = {
    "memcom-demo": ["arm64-v8a", "armeabi-v7a", "x86_64"],
    "memcom-demo-arm64": ["arm64-v8a"],
}
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
PROPERTIES = {
    element.tag.removeprefix(NAMESPACE): element.text
    for element in ElementTree.parse(APP / "pom.xml").getroot().find(f"{NAMESPACE}properties")
}


@pytest.fixture(params=ABIS)
def apk(request):
    return BUILD / f"{request.param}.apk"


def output_of(*command) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_signed(apk):
    verified = output_of("apksigner", "verify", "--verbose", apk)
    assert "(APK Signature Scheme v2): true" in verified
    assert "(APK Signature Scheme v3): true" in verified


def test_a_changed_byte_breaks_the_signature(apk, tmp_path):
    content = bytearray(apk.read_bytes())
    content[content.index(b"TFL3") + 1000] ^= 1
    changed = tmp_path / "changed.apk"
    changed.write_bytes(content)
    done = subprocess.run(["apksigner", "verify", changed], capture_output=True, check=False)
    assert done.returncode != 0


def test_it_is_aligned_and_what_is_mapped_is_stored(apk):
    output_of("zipalign", "-c", "-p", "4", apk)
    with zipfile.ZipFile(apk) as archive:
        models = [name for name in archive.namelist() if name.endswith(".tflite")]
        for name in ["resources.arsc", *models]:
            info = archive.getinfo(name)
            assert info.compress_type == zipfile.ZIP_STORED, name
            # Of the local header, whose extra field is what alignment pads.
            archive.fp.seek(info.header_offset + 26)
            name_length, extra_length = struct.unpack("<HH", archive.fp.read(4))
            assert (info.header_offset + 30 + name_length + extra_length) % 4 == 0, name
        assert sorted(models) == [f"assets/models/{model.name}" for model in MODELS]
        for model in MODELS:
            assert archive.read(f"assets/models/{model.name}") == model.read_bytes()


def test_it_asks_for_no_permission(apk):
    assert output_of("aapt2", "dump", "permissions", apk).splitlines() == ["package: memcom.demo"]


def test_it_is_for_the_phones_that_it_says(apk):
    badging = output_of("aapt2", "dump", "badging", apk)
    assert re.search(r"^package: name='memcom.demo'", badging, re.MULTILINE)
    assert f"dkVersion:'{PROPERTIES['android.minSdk']}'" in badging
    assert f"targetSdkVersion:'{PROPERTIES['android.targetSdk']}'" in badging
    assert "launchable-activity: name='memcom.demo.MainActivity'" in badging
    native = re.search(r"^native-code: (.*)$", badging, re.MULTILINE)[1]
    assert re.findall(r"'([^']+)'", native) == ABIS[apk.stem]


def test_it_speaks_german_and_takes_files_of_other_apps(apk):
    badging = output_of("aapt2", "dump", "badging", apk)
    assert re.search(r"^locales:.* 'de'", badging, re.MULTILINE)
    manifest = output_of("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", apk)
    for action in ("VIEW", "SEND"):
        assert f'"android.intent.action.{action}"' in manifest
    assert '"application/octet-stream"' in manifest


def test_its_code_needs_nothing_that_phones_lack(apk, tmp_path):
    with zipfile.ZipFile(apk) as archive:
        assert [name for name in archive.namelist() if name.endswith(".dex")] == ["classes.dex"]
        dex = tmp_path / "classes.dex"
        dex.write_bytes(archive.read("classes.dex"))
    code = output_of("dexdump", "-d", dex)
    # Lambdas left as such would ask for a class that Android does not have.
    assert "invoke-custom" not in code
    assert "Lmemcom/demo/MainActivity;" in code
    assert "Ljava/net/" not in "".join(re.findall(r"invoke-\w+ .*", code))


def test_its_libraries_are_those_of_tensorflow_lite_and_have_pages_of_4_kb(apk, tmp_path):
    """Which the README says, with the way out for phones with larger pages."""
    with zipfile.ZipFile(apk) as archive:
        for abi in ABIS[apk.stem]:
            library = archive.read(f"lib/{abi}/libtensorflowlite_jni.so")
            original = APP / "tools/tflite/target/aar/jni" / abi / "libtensorflowlite_jni.so"
            assert library == original.read_bytes()
            path = tmp_path / f"{abi}.so"
            path.write_bytes(library)
            loads = re.findall(
                r"^\s*LOAD .* (0x[0-9a-f]+)$", output_of("readelf", "-lW", path), re.MULTILINE
            )
            assert set(loads) == {"0x1000"}
