#!/usr/bin/env bash
# Runs the simulator or the checker; compiles them first where their sources are newer.
# Usage: scripts/sim.sh sim|check --help
# SIM_JAVA_OPTS adds flags for the JVM.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/jdk.sh
modules=(core store transport node client sim)
stamp=sim/target/.compiled
sources=(pom.xml)
for module in "${modules[@]}"; do sources+=("$module/pom.xml" "$module/src/main"); done
if [[ ! -f "$stamp" || -n "$(find "${sources[@]}" -newer "$stamp" -print -quit)" ]]; then
  echo "forebay: building the simulator..." >&2
  mkdir -p sim/target
  begun="$(mktemp sim/target/.begun.XXXXXX)"
  goal=(process-classes -pl sim -am)
  mvn -q -o "${goal[@]}" >/dev/null 2>&1 || mvn -q "${goal[@]}"
  mv "$begun" "$stamp"
fi
case "${1:-}" in
  sim) class=io.forebay.sim.Main heap=1g ;;
  check) class=io.forebay.sim.check.Main heap=6g ;;
  *) echo "scripts/sim.sh: sim or check, not '${1:-}'" >&2; exit 2 ;;
esac
shift
path="sim/target/classes:$(cat sim/target/runtime.classpath)"
# Facts say which lines ran.
agent=()
if [[ " $* " == *" --json "* && $class == io.forebay.sim.Main ]]; then
  jar="$(tr : '\n' < sim/target/runtime.classpath | grep 'org.jacoco.agent-.*-runtime.jar')"
  agent=("-javaagent:$jar=output=none,includes=io.forebay.*")
fi
read -r -a options <<< "${SIM_JAVA_OPTS:-}"
# One seed lives in one thread; a serial collector leaves the other cores alone. Tracked by the JDK, the threads of
# killed processes would never be collected, nor their buffers: after some 200 seeds a pool found no memory.
exec "$JAVA_HOME/bin/java" \
  --add-opens java.base/java.lang=ALL-UNNAMED \
  -ea:io.forebay... \
  -Xmx$heap -XX:+UseSerialGC \
  -Djdk.trackAllThreads=false \
  -XX:+EnableDynamicAgentLoading -Djdk.attach.allowAttachSelf=true \
  -Dslf4j.internal.verbosity=ERROR \
  ${agent[@]+"${agent[@]}"} \
  ${options[@]+"${options[@]}"} \
  -cp "$path" \
  "$class" "$@"
