#!/usr/bin/env bash
# From what Maven compiled to signed APKs: shrink, dex, align, sign.
#   package.sh OUTPUT_FOLDER
# Writes memcom-demo.apk for all phones and memcom-demo-arm64.apk for those of today.
set -euo pipefail
mkdir -p "$1"
output=$(cd "$1" && pwd)
cd "$(dirname "$0")"
work=$PWD/target
rm -rf "$work" && mkdir -p "$work"
property() { sed -n "s|.*<$1>\(.*\)</$1>.*|\1|p" pom.xml; }
min_sdk=$(property android.minSdk)
classpath=$(tr ':' '\n' < app/target/test-classpath)
jar_of() { grep -F "/$1" <<< "$classpath" | head -1; }
jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")

# ProGuard turns lambdas and other things that dx does not know into plain classes. Its base comes
# first on the classpath: proguard-core has copies of some of its classes that leave lambdas behind.
proguard() {
  local framework=$1 out=$2
  java -cp "$(ls tools/target/lib/proguard-base-*.jar):tools/target/lib/*" proguard.ProGuard \
    -injars "app/target/app-1.jar(**.class):core/target/core-1.jar(**.class):ranker/target/ranker-1.jar(**.class)" \
    -injars "tools/tflite/target/tflite-1.jar(**.class)" \
    -injars "$(jar_of kotlin-stdlib-)(**.class;!META-INF/**):$(jar_of gson-)(**.class;!META-INF/**;!module-info.class)" \
    -outjars "$out" \
    -libraryjars "$framework(**.class)" \
    -libraryjars "$jdk/jmods/java.base.jmod(!**.jar;!module-info.class)" \
    -libraryjars "$jdk/jmods/java.logging.jmod(!**.jar;!module-info.class)" \
    -target 1.7 -dontoptimize -dontobfuscate -dontnote '**' \
    -dontwarn 'kotlin.**,org.jetbrains.annotations.**,org.checkerframework.**,com.google.errorprone.**,com.google.gson.**' \
    -keep 'public class * extends android.app.Activity { *; }' \
    -include proguard-rules.pro > "$work/proguard.log" 2>&1 || { cat "$work/proguard.log" >&2; exit 1; }
}

echo "Shrinking; what is called must be in Android 7.0"
proguard "$(ls tools/target/lib/android-all-7*.jar)" "$work/oldest.jar"
rm "$work/oldest.jar"
proguard "$(jar_of android-all-14)" "$work/classes.jar"

# dex2jar, which the tests use, brings another dx: only this one is on the classpath.
echo "Dexing"
mkdir "$work/apk"
java -Xmx1g -cp "$(ls tools/target/lib/dalvik-dx-*.jar)" com.android.dx.command.Main --dex "--min-sdk-version=$min_sdk" \
  "--output=$work/apk" "$work/classes.jar"

if [ ! -f "$work/../debug.keystore" ]; then
  keytool -genkeypair -keystore debug.keystore -storepass android -keypass android -alias debug \
    -keyalg RSA -keysize 2048 -validity 10000 -dname 'CN=Android Debug, O=Android, C=US' > /dev/null 2>&1
fi

package() {
  local apk=$output/$1.apk
  shift
  cp app/target/resources.apk "$work/unaligned.apk"
  rm -rf "$work/apk/lib"
  for abi in "$@"; do
    mkdir -p "$work/apk/lib/$abi"
    cp "tools/tflite/target/aar/jni/$abi/libtensorflowlite_jni.so" "$work/apk/lib/$abi/"
  done
  (cd "$work/apk" && zip -q -X -D -r -9 "$work/unaligned.apk" classes.dex lib)
  zipalign -f -p 4 "$work/unaligned.apk" "$work/aligned.apk"
  apksigner sign --ks debug.keystore --ks-pass pass:android --key-pass pass:android \
    --min-sdk-version "$min_sdk" --out "$apk" "$work/aligned.apk"
  rm -f "$apk.idsig"
  echo "$apk: $(stat -c %s "$apk") bytes"
}
package memcom-demo arm64-v8a armeabi-v7a x86_64
package memcom-demo-arm64 arm64-v8a
