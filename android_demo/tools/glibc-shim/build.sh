#!/usr/bin/env bash
# Builds the system libraries that an Android native library needs, on top of glibc, so that it
# loads on Linux unchanged.
#   [CC=aarch64-linux-gnu-gcc] build.sh LIBRARY OUTPUT_FOLDER
# Its symbols carry Android's version `LIBC`, so they never stand in for glibc's own.
set -euo pipefail
library=$1 output=$2 here=$(cd "$(dirname "$0")" && pwd) cc=${CC:-gcc}
mkdir -p "$output"
python3 "$here/exports.py" "$library" "$output"
echo 'LIBC { global: *; };' > "$output/versions"
link() {
  local name=$1
  shift
  "$cc" -shared -fPIC -O1 -fno-builtin -Wall -Wl,-soname,"$name" -o "$output/$name" "$@"
}
versions=-Wl,--version-script="$output/versions"
link libc.so "$versions" -I"$output" "$here/libc.c" "$output/forwarded.S" -lm -ldl -lpthread
for name in libm.so libdl.so; do
  link "$name" "$versions" -x c /dev/null
done
link liblog.so "$here/liblog.c"
