#!/usr/bin/env bash
# Gathers app/target/forebay/lib: one jar for each module of ours, and every library the server needs.
# Compiles main sources only; no tests, and no install into the local repository.
# Usage: scripts/package.sh [--if-stale] [more arguments for Maven]
#   --if-stale  do nothing where no source is newer than what was gathered last
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

home=app/target/forebay
stamp="$home/.packaged"

stale() {
  [[ -f "$stamp" ]] || return 0
  [[ -n "$(find pom.xml .mvn */pom.xml */src/main -newer "$stamp" -print -quit)" ]]
}

if [[ "${1:-}" == --if-stale ]]; then
  shift
  stale || exit 0
  echo "forebay: building (once for each change of the sources)..." >&2
fi

. scripts/jdk.sh
command -v mvn >/dev/null || {
  echo "forebay: mvn not found: install Apache Maven 3.8 or newer (Debian: apt-get install maven)" >&2
  exit 1
}

# One packager at a time; the second then finds the work done.
mkdir -p app/target
if command -v flock >/dev/null; then
  exec 9> app/target/.package.lock
  flock 9
fi

# Taken before the compiler starts, so that a source changed meanwhile counts as newer.
begun="$(mktemp app/target/.begun.XXXXXX)"
fresh="$(mktemp -d app/target/.lib.XXXXXX)"
trap 'rm -rf "$begun" "$fresh"' EXIT

# Offline first: a registry that is slow or away must not stop a build that needs nothing from it.
goal=(process-classes -pl app -am -Dforebay.package)
mvn -q -o "${goal[@]}" "$@" >/dev/null 2>&1 || mvn -q "${goal[@]}" "$@"

module_jar() { # classes directory, name
  "$JAVA_HOME/bin/jar" --create --no-compress --file "$fresh/forebay-$2.jar" -C "$1" .
}

# `read` reports the missing newline at the end as a failure.
IFS=: read -r -a entries < app/target/runtime.classpath || [[ -n "${entries[0]:-}" ]]
for entry in "${entries[@]}"; do
  if [[ "$entry" == */target/classes ]]; then
    module="${entry%/target/classes}"
    [[ -d "$entry" ]] && module_jar "$entry" "${module##*/}" # a module without sources has none
  else
    # A hard link where it is possible: the libraries are some 120 MB.
    ln "$entry" "$fresh/" 2>/dev/null || cp "$entry" "$fresh/"
  fi
done
module_jar app/target/classes app

# RocksDB's native library beside the jars: else each start copies it to the temporary directory, and a killed
# process leaves its copy there.
native="librocksdbjni-linux64.so"
[[ "$(uname -m)" != aarch64 ]] || native="librocksdbjni-linux-aarch64.so"
mkdir "$fresh/native"
(cd "$fresh/native" && "$JAVA_HOME/bin/jar" --extract --file ../rocksdbjni-*.jar "$native")

# A running server keeps the jars it has opened: the old directory is moved away whole, never changed in place.
mkdir -p "$home"
rm -f "$stamp" "$home/forebay.aot"
if [[ -d "$home/lib" ]]; then
  old="$(mktemp -d app/target/.old.XXXXXX)"
  mv "$home/lib" "$old/"
  rm -rf "$old"
fi
chmod 755 "$fresh"
mv "$fresh" "$home/lib"
mv "$begun" "$stamp"

scripts/train.sh
