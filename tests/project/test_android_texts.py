"""The texts of the app: all in resources, and the same in every language."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[2] / "android_demo" / "app" / "src" / "main"
RESOURCES = MAIN / "res"
ANDROID = "{http://schemas.android.com/apk/res/android}"
TRANSLATIONS = sorted(RESOURCES.glob("values-??/strings.xml"))
LANGUAGE_NEUTRAL = re.compile(r"%\d\$|[^\w]|ms|memcom")


def texts(path: Path) -> dict[str, list[str]]:
    """The texts of each name: one, or those of a plural by quantity."""
    found = {}
    for element in ElementTree.parse(path).getroot():
        items = [element] if element.tag == "string" else list(element)
        found[element.get("name")] = [item.text for item in items]
    return found


ENGLISH = texts(RESOURCES / "values" / "strings.xml")


def test_there_is_a_second_language_and_the_system_knows():
    assert TRANSLATIONS
    languages = ElementTree.parse(RESOURCES / "xml" / "languages.xml").getroot()
    known = {language.get(f"{ANDROID}name") for language in languages}
    assert known == {"en", *(path.parent.name.removeprefix("values-") for path in TRANSLATIONS)}
    assert 'android:localeConfig="@xml/languages"' in (MAIN / "AndroidManifest.xml").read_text()


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.parent.name)
def test_a_translation_has_every_text_with_its_places(path):
    translated = texts(path)
    assert list(translated) == list(ENGLISH)
    for name, ours in ENGLISH.items():
        theirs = translated[name]
        assert len(theirs) == len(ours), name
        for one, other in zip(ours, theirs, strict=True):
            places = re.compile(r"%\d\$[^a-z]*[a-z]|%%")
            assert sorted(places.findall(other)) == sorted(places.findall(one)), name
        if LANGUAGE_NEUTRAL.sub("", re.sub(r"%\d\$[^a-z]*[a-z]", "", ours[0])):
            assert theirs != ours, f"{name} is not translated"


def test_no_text_is_outside_of_the_resources():
    shown = re.compile(r'android:(?:text|hint|title|label|contentDescription)="(?!@)([^"]*)"')
    for path in [MAIN / "AndroidManifest.xml", *RESOURCES.rglob("*.xml")]:
        assert not shown.findall(path.read_text()), path
    set_in_code = re.compile(r'\.(?:text|hint|title|subtitle|contentDescription) = "[^"]')
    for path in (MAIN / "kotlin").rglob("*.kt"):
        assert not set_in_code.findall(path.read_text()), path


def test_every_text_is_used():
    sources = [*MAIN.rglob("*.kt"), *RESOURCES.rglob("*.xml"), MAIN / "AndroidManifest.xml"]
    used = "".join(path.read_text() for path in sources if path.name != "strings.xml")
    for name in ENGLISH:
        assert re.search(rf"(?:R\.(?:string|plurals)\.|@string/){name}\b", used), name
