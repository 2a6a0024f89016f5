#!/usr/bin/env bash
# From what Maven compiled to a Maven repository on disk: memcom-core (a jar) and memcom-ranker (an AAR).
#   publish.sh REPOSITORY_FOLDER
# Gradle's `publish` writes the same from the same sources, but needs Google's repository.
set -euo pipefail
mkdir -p "$1"
repository=$(cd "$1" && pwd)
cd "$(dirname "$0")"
work=$PWD/target/library
rm -rf "$work" && mkdir -p "$work/aar/META-INF/com/android/build/gradle"
property() { sed -n "s|.*<$1>\(.*\)</$1>.*|\1|p" pom.xml; }
version=$(property android.versionName)

dependency() { # GROUP ARTIFACT VERSION [TYPE]
  echo "    <dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version>${4:+<type>$4</type>}<scope>compile</scope></dependency>"
}
stdlib=$(dependency org.jetbrains.kotlin kotlin-stdlib "$(property kotlin.version)")
pom() { # ARTIFACT PACKAGING DEPENDENCIES
  cat > "$work/$1.pom" << EOF
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>memcom</groupId>
  <artifactId>$1</artifactId>
  <version>$version</version>
  <packaging>$2</packaging>
  <dependencies>
$stdlib
$3
  </dependencies>
</project>
EOF
}
deploy() { # ARTIFACT FILE
  mvn --batch-mode --quiet --strict-checksums org.apache.maven.plugins:maven-deploy-plugin:3.1.1:deploy-file \
    "-Durl=file://$repository" -DrepositoryId=local "-DpomFile=$work/$1.pom" "-Dfile=$2"
}

pom memcom-core jar "$(dependency com.google.code.gson gson "$(property gson.version)")"
pom memcom-ranker aar "$(dependency memcom memcom-core "$version")
$(dependency org.tensorflow tensorflow-lite "$(property tflite.version)" aar)"

# The parts of an AAR of a library without resources, of which R.txt lists none.
cat > "$work/aar/AndroidManifest.xml" << EOF
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="memcom.tflite">
    <uses-sdk android:minSdkVersion="$(property android.minSdk)" />
</manifest>
EOF
cp ranker/target/ranker-1.jar "$work/aar/classes.jar"
cp ranker/consumer-rules.pro "$work/aar/proguard.txt"
: > "$work/aar/R.txt"
printf 'aarFormatVersion=1.0\naarMetadataVersion=1.0\n' > "$work/aar/META-INF/com/android/build/gradle/aar-metadata.properties"
(cd "$work/aar" && zip -q -X -r ../memcom-ranker.aar .)

deploy memcom-core core/target/core-1.jar
deploy memcom-ranker "$work/memcom-ranker.aar"
echo "$repository: memcom:memcom-core:$version and memcom:memcom-ranker:$version"
