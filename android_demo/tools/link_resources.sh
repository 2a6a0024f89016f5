#!/usr/bin/env bash
# Resources, assets and manifest of the app -> target/resources.apk and R.java. Run by app/pom.xml.
#   FRAMEWORK=android-all.jar MIN_SDK= TARGET_SDK= VERSION_CODE= VERSION_NAME= link_resources.sh APP_FOLDER
set -euo pipefail
cd "$1"
rm -rf target/generated target/resources.zip
mkdir -p target/generated src/main/assets/models
# Gradle takes these from elsewhere, and refuses them in the manifest, where aapt2 and the tests want them.
sdks="<uses-sdk android:minSdkVersion=\"$MIN_SDK\" android:targetSdkVersion=\"$TARGET_SDK\" />"
sed -e 's/<manifest /<manifest package="memcom.demo" /' -e "s|<application\$|$sdks&|" \
  src/main/AndroidManifest.xml > target/AndroidManifest.xml
grep -q uses-sdk target/AndroidManifest.xml
aapt2 compile --dir src/main/res -o target/resources.zip
# `.tflite` with its dot: without, aapt2 compresses the models without a word.
aapt2 link -I "$FRAMEWORK" --manifest target/AndroidManifest.xml --debug-mode \
  --min-sdk-version "$MIN_SDK" --target-sdk-version "$TARGET_SDK" \
  --version-code "$VERSION_CODE" --version-name "$VERSION_NAME" \
  -A src/main/assets -0 .tflite --java target/generated \
  -o target/resources.apk target/resources.zip 2> >(grep -v 'Unknown chunk type' >&2)
