#!/usr/bin/env bash
# Starts a server once and keeps its loaded and linked classes in app/target/forebay/forebay.aot, from which ./forebay
# starts in about half the time (JEP 483, 514). scripts/package.sh calls it; without the file everything works, slower.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

home=app/target/forebay
work="$(mktemp -d app/target/.train.XXXXXX)"
server=
finish() {
  [[ -z "$server" ]] || kill -9 "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

free_port() {
  local port
  while true; do
    port=$((20000 + RANDOM % 12000)) # below those that Linux gives to connections
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# With a file, as servers start: what reads it belongs into the cache, too.
cat > "$work/forebay.yaml" <<END
node: a
secret: training-secret-of-a-server-that-ends-soon
voters: {a: {address: '127.0.0.1:$(free_port)', consensus: '127.0.0.1:$(free_port)'}}
data: '$work/data/disk0'
meta: '$work/data/meta'
s3: {listen: '127.0.0.1:0', anonymous: true}
END

FOREBAY_JAVA_OPTS="-XX:AOTCacheOutput=$work/forebay.aot -Xlog:disable" \
  ./forebay serve --config "$work/forebay.yaml" > "$work/out" 2>&1 &
server=$!
for _ in $(seq 300); do
  port="$(sed -n 's|^S3 endpoint .*:\([0-9]*\)$|\1|p' "$work/out")"
  [[ -z "$port" ]] || break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
if [[ -z "$port" ]]; then
  echo "forebay: the training start failed, later starts will be slower:" >&2
  cat "$work/out" >&2
  exit 0
fi

request() { # method, path, body
  exec 3<> "/dev/tcp/127.0.0.1/$port"
  printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "$2" "${#3}" "$3" >&3
  cat <&3 > /dev/null
  exec 3>&-
}
request PUT /training "" && request PUT /training/object "$(printf '%8192s' x)" && request GET /training/object "" \
  && request GET /training "" || true

kill "$server" # it writes the cache when it ends
wait "$server" 2>/dev/null || true
server=
[[ ! -f "$work/forebay.aot" ]] || mv "$work/forebay.aot" "$home/forebay.aot"
