#!/usr/bin/env bash
# Brings what the e2e tests need beyond the JDK: Python clients and MiniStack under .venv, s3fs under .tools/s3fs, Azurite under
# .tools/node, a client on the AWS SDK for Go under .tools/go, and the Debian packages iproute2 (network namespaces, tc) and
# iperf3. Does nothing where all is there already. Without Go, its client is left out of the tests, which say so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# A test starts this with its own standard input, through which Maven speaks to it: npm would make that non-blocking, and
# Maven's tests then end with "std/in stream corrupted".
exec < /dev/null

PYTHON_PACKAGES=(boto3 awscli awscrt s3cmd pyarrow azure-storage-blob safetensors numpy ministack==1.5.33)
# By itself: it wants another botocore than boto3 and the AWS CLI.
S3FS_PACKAGES=(s3fs)
AZURITE_VERSION=3.37.0
# What the AWS SDK for Go asks for (app/src/test/go/go.mod); Debian 12 has 1.19.
GO_MINOR=24

fail() {
  echo "forebay: $*" >&2
  exit 1
}

# --- Debian packages -------------------------------------------------------------------------------------------
missing=()
need() { # command, package
  PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || missing+=("$2")
}
need ip iproute2
need tc iproute2
need iperf3 iperf3
need python3 python3
need npm npm
if [[ -x /usr/bin/python3 && ! -x .venv/bin/python ]] && ! python3 -c 'import ensurepip' 2>/dev/null; then
  missing+=(python3-venv)
fi
if ((${#missing[@]})); then
  command -v apt-get >/dev/null || fail "the tests need ${missing[*]}: install them with your package manager"
  [[ "$(id -u)" == 0 ]] || fail "the tests need ${missing[*]}: sudo apt-get install ${missing[*]}"
  echo "forebay: installing ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q "${missing[@]}" >/dev/null 2>&1 || {
    apt-get update -q >/dev/null
    apt-get install -y -q "${missing[@]}" >/dev/null
  }
fi

# --- Python clients --------------------------------------------------------------------------------------------
# A marker names what was installed, so that a changed list installs again.
python_packages() { # environment, packages
  local environment="$1" marker="$1/.forebay-packages"
  shift
  if [[ ! -x "$environment/bin/python" || "$(cat "$marker" 2>/dev/null)" != "$*" ]]; then
    echo "forebay: installing the Python clients into $environment" >&2
    [[ -x "$environment/bin/python" ]] || python3 -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet "$@"
    printf '%s' "$*" > "$marker"
  fi
}
python_packages .venv "${PYTHON_PACKAGES[@]}"
python_packages .tools/s3fs "${S3FS_PACKAGES[@]}"

# --- Azurite ---------------------------------------------------------------------------------------------------
marker=.tools/node/.azurite-version
if [[ ! -x .tools/node/node_modules/.bin/azurite-blob || "$(cat "$marker" 2>/dev/null)" != "$AZURITE_VERSION" ]]; then
  echo "forebay: installing Azurite $AZURITE_VERSION into .tools/node" >&2
  mkdir -p .tools/node
  npm install --prefix .tools/node --no-audit --no-fund --no-save --silent "azurite@$AZURITE_VERSION"
  printf '%s' "$AZURITE_VERSION" > "$marker"
fi

# --- The client in Go ------------------------------------------------------------------------------------------
# The first go on the PATH or in the usual folders that is new enough.
find_go() {
  local candidate minor
  for candidate in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-1.*/bin/go /opt/go/bin/go "${HOME:-/}"/go/bin/go; do
    [[ -x "$candidate" ]] || continue
    minor="$("$candidate" env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')"
    if [[ -n "$minor" ]] && ((minor >= GO_MINOR)); then
      printf '%s' "$candidate"
      return 0
    fi
  done
  return 1
}
sources=app/src/test/go
marker=.tools/go/.sources
sum="$(cat "$sources"/go.mod "$sources"/go.sum "$sources"/*.go | cksum)"
if [[ ! -x .tools/go/s3-client || "$(cat "$marker" 2>/dev/null)" != "$sum" ]]; then
  rm -rf .tools/go
  if ! go="$(find_go)"; then
    echo "forebay: no Go 1.$GO_MINOR or newer on the PATH or in /usr/local/go: the AWS SDK for Go is NOT tested" >&2
  else
    echo "forebay: building the Go client into .tools/go" >&2
    mkdir -p .tools/go
    if (cd "$sources" && CGO_ENABLED=0 "$go" build -mod=readonly -o ../../../../.tools/go/s3-client .); then
      printf '%s' "$sum" > "$marker"
    else
      echo "forebay: the Go client could not be built: the AWS SDK for Go is NOT tested" >&2
    fi
  fi
fi
