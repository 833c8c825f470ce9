#!/usr/bin/env bash
# The state dict test with torch.save and torch.load on Debian's CPU build of torch (python3-torch, about 150 MB and what
# it depends on): a checkpoint is saved with boto3 to a cluster of three while a node is killed, loaded through another
# node, and compared tensor by tensor. Installs what is missing; needs root for that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/jdk.sh
scripts/test-tools.sh
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
  command -v apt-get >/dev/null || {
    echo "forebay: torch for the system's Python 3 is missing: install it with your package manager" >&2
    exit 1
  }
  echo "forebay: installing python3-torch" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-torch >/dev/null
fi
# boto3 alone: torch wants the distribution's numpy, not that of .venv.
modules="$PWD/.tools/torch"
[[ -d "$modules/boto3" ]] || .venv/bin/python -m pip install --quiet --target "$modules" boto3
exec mvn -q test -pl app -am -Dforebay.excludedGroups=slow -Dsurefire.failIfNoSpecifiedTests=false \
  -Dtest=StateDictTest -Dforebay.torch.modules="$modules" "$@"
