#!/usr/bin/env bash
# Installs the Debian packages that building (and with `test` or `web_test`, testing) needs and that are missing.
#   install.sh build|test|web|web_test
set -euo pipefail
build=(openjdk-17-jdk-headless:javac maven:mvn aapt:aapt2 zipalign:zipalign apksigner:apksigner
  dexdump:dexdump zip:zip gcc:gcc binutils:readelf python3:python3)
test=("${build[@]}" qemu-user:qemu-aarch64 gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc)
web=(nodejs:node npm:npm)
web_test=("${web[@]}" chromium:chromium)
declare -n wanted=$1
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry#*:}" > /dev/null || missing+=("${entry%:*}")
done
# Headers have no command to look for.
[[ " ${missing[*]} " != *" gcc "* ]] || missing+=(libc6-dev)
[[ " ${missing[*]} " != *" gcc-aarch64-linux-gnu "* ]] || missing+=(libc6-dev-arm64-cross)
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get > /dev/null || [ "$(id -u)" != 0 ]; then
  echo "These must be installed: ${missing[*]}. As root, on Debian or Ubuntu: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends "${missing[@]}" > /dev/null
