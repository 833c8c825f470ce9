# Sourced, not run. Sets JAVA_HOME to a JDK of at least FOREBAY_JDK (25), or says what to install and
# exits 1. The first that fits wins: JAVA_HOME, JDK_HOME, the java on the PATH, then the folders where
# distributions and version managers put JDKs.

FOREBAY_JDK=25

# Prints the major version of the JDK in $1, or nothing where there is none (a runtime without javac is none).
# Reads the `release` file: starting each candidate's java would cost seconds.
jdk_major() {
  local line version
  [[ -x "$1/bin/java" && -x "$1/bin/javac" && -r "$1/release" ]] || return 0
  while IFS= read -r line; do
    if [[ "$line" == JAVA_VERSION=* ]]; then
      version="${line#JAVA_VERSION=}"
      version="${version//\"/}"
      version="${version%%[.+-]*}"
      [[ "$version" =~ ^[0-9]+$ ]] && printf '%s' "$version"
      return 0
    fi
  done < "$1/release"
}

find_jdk() {
  local candidate major onpath
  local -a candidates=()
  [[ -n "${JAVA_HOME:-}" ]] && candidates+=("$JAVA_HOME")
  [[ -n "${JDK_HOME:-}" ]] && candidates+=("$JDK_HOME")
  if onpath="$(command -v javac 2>/dev/null)" && onpath="$(readlink -f "$onpath" 2>/dev/null)"; then
    candidates+=("${onpath%/bin/javac}")
  fi
  candidates+=(
    /usr/lib/jvm/*
    /usr/java/*
    /usr/local/openjdk*
    /usr/local/*jdk*
    /opt/*jdk*
    /opt/java/*
    /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home
    /usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home
    /Library/Java/JavaVirtualMachines/*/Contents/Home
    "${HOME:-/}"/Library/Java/JavaVirtualMachines/*/Contents/Home
    "${SDKMAN_DIR:-${HOME:-/}/.sdkman}"/candidates/java/*
    "${HOME:-/}"/.jdks/*
    "${HOME:-/}"/.gradle/jdks/*
    "${MISE_DATA_DIR:-${HOME:-/}/.local/share/mise}"/installs/java/*
    "${ASDF_DATA_DIR:-${HOME:-/}/.asdf}"/installs/java/*
    "${JABBA_HOME:-${HOME:-/}/.jabba}"/jdk/*
  )
  for candidate in "${candidates[@]}"; do
    major="$(jdk_major "$candidate")"
    if [[ -n "$major" ]] && ((major >= FOREBAY_JDK)); then
      printf '%s' "$candidate"
      return 0
    fi
  done
  return 1
}

if ! JAVA_HOME="$(find_jdk)"; then
  echo "forebay: no JDK $FOREBAY_JDK or newer found: install one (for example Eclipse Temurin $FOREBAY_JDK) and set JAVA_HOME to it" >&2
  exit 1
fi
export JAVA_HOME
