package io.forebay.app.server;

import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import io.forebay.gateway.http.HttpHandler;
import io.forebay.node.NodeStatus;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;

/**
 * Metrics and health for machines: {@code /metrics} in Prometheus' text format, {@code /healthz}
 * (the process runs), {@code /readyz} (the node holds its lease and takes writes), {@code /status}
 * (what {@code status --json} prints). Reads only; no secrets.
 */
final class AdminDoor implements HttpHandler {
  private final Supplier<NodeStatus> status;
  private final Supplier<String> report;
  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);

  AdminDoor(
      Supplier<NodeStatus> status,
      Supplier<String> report,
      Supplier<Map<String, Long>> flush,
      Supplier<Map<String, Long>> storeRequests) {
    this.status = status;
    this.report = report;
    gauge("forebay.lease.held", "1 while the node may take writes", s -> s.leaseHeld() ? 1 : 0);
    gauge("forebay.image.version", "version of the cluster image", s -> s.image().version());
    gauge("forebay.nodes", "nodes of the cluster", s -> s.image().nodes().size());
    gauge("forebay.groups", "groups of volumes", s -> s.image().groups().size());
    gauge(
        "forebay.groups.full",
        "groups at full strength",
        s -> s.image().groups().stream().filter(group -> group.fullStrength()).count());
    gauge(
        "forebay.groups.unwritable",
        "groups that take no writes",
        s -> s.image().groups().stream().filter(group -> !group.writable()).count());
    gauge(
        "forebay.volume.used.bytes",
        "room taken by chunks on this node",
        s -> s.volumes().stream().mapToLong(volume -> volume.usage().usedBytes()).sum());
    gauge(
        "forebay.volume.capacity.bytes",
        "what this node's volumes may hold",
        s -> s.volumes().stream().mapToLong(volume -> volume.usage().capacityBytes()).sum());
    gauge(
        "forebay.volume.queued.bytes",
        "slices taken and not yet on the disk",
        s -> s.volumes().stream().mapToLong(volume -> volume.usage().queuedBytes()).sum());
    gauge(
        "forebay.chunks.waiting.for.room",
        "chunks of this node's writers that wait for room on full disks",
        NodeStatus::waitingForRoom);
    gauge(
        "forebay.volumes.slow",
        "volumes that take many times longer than others, as this node's writers see it",
        s -> s.slowVolumes().size());
    gauge(
        "forebay.nodes.fenced",
        "nodes that are out because they are slow, as the leader and they themselves know",
        s -> s.fenced().size());
    gauge("forebay.chunks.rehomed", "chunks written again elsewhere", NodeStatus::rehomedChunks);
    gauge(
        "forebay.resync.missed.bytes",
        "bytes that re-sync found lacking",
        s -> s.resync().missedBytes());
    gauge(
        "forebay.resync.moved.bytes", "bytes that re-sync has moved", s -> s.resync().movedBytes());
    gauge(
        "forebay.balance.begun",
        "groups sent from full disks to empty ones while this voter led",
        s -> s.balance().begun());
    gauge(
        "forebay.balance.given.up",
        "of these, those that were taken back",
        s -> s.balance().givenUp());
    gauge("forebay.collect.garbage.bytes", "garbage deleted", NodeStatus::garbageBytes);
    gauge("forebay.collect.evicted.bytes", "clean chunks evicted", NodeStatus::evictedBytes);
    gauge(
        "forebay.reads.corrupt",
        "reads that met a wrong checksum or a disk error",
        s -> s.repair().damagedReads());
    gauge("forebay.chunks.repaired", "copies put right again", s -> s.repair().repairedChunks());
    gauge(
        "forebay.chunks.lost",
        "owed chunks that an in-sync volume of this node did not have",
        s -> s.repair().lostChunks());
    gauge(
        "forebay.chunks.repairs.failed",
        "tries to put a copy right for which nobody gave a good one",
        s -> s.repair().failedRepairs());
    gauge("forebay.scrub.bytes", "bytes read to find damage", s -> s.scrub().bytes());
    gauge(
        "forebay.scrub.damaged",
        "copies that scrubbing found damaged",
        s -> s.scrub().damagedChunks());
    gauge(
        "forebay.scrub.absent",
        "owed chunks of other members that scrubbing did not find here",
        s -> s.scrub().absentChunks());
    gauge(
        "forebay.scrub.cycles",
        "times that every volume of this node was looked through",
        s -> s.scrub().cycles());
    gauge(
        "forebay.volumes.turned.out",
        "volumes of this node that cannot be written",
        s -> s.volumes().stream().filter(volume -> volume.fault().isPresent()).count());
    gauge(
        "forebay.write.memory.free.bytes",
        "of what bodies may hold",
        NodeStatus::writeMemoryFreeBytes);
    gauge(
        "forebay.read.slices.free",
        "of what readers may hold, in slices of 1 MiB",
        NodeStatus::readSlicesFree);
    gauge(
        "forebay.memory.tier.bytes",
        "held in memory of what is read often",
        NodeStatus::memoryTierBytes);
    gauge(
        "forebay.memory.tier.hits",
        "reads answered from there since the start of this process",
        NodeStatus::memoryTierHits);
    gauge(
        "forebay.leases.hits",
        "keys answered from memory, under a lease on their directory",
        s -> s.leases().hits());
    gauge("forebay.leases.misses", "keys asked about at the leader", s -> s.leases().misses());
    gauge(
        "forebay.leases.revocations",
        "directories that a leader took back",
        s -> s.leases().revocations());
    gauge("forebay.leases.bytes", "memory that leased answers take", s -> s.leases().bytes());
    gauge(
        "forebay.leases.given",
        "leases that this voter has given and that may not have run out",
        s -> s.leaseBook().map(book -> (double) book.leases()).orElse(0.0));
    for (String name :
        List.of(
            "flushedObjects",
            "flushedBytes",
            "deletedObjects",
            "failedAttempts",
            "conflicts",
            "partsStagedByOthers",
            "partsStagedForOthers")) {
      Gauge.builder("forebay.flush." + name, () -> flush.get().getOrDefault(name, 0L))
          .description("since the start of this process")
          .register(registry);
    }
    for (String kind :
        List.of("heads", "reads", "puts", "stages", "commits", "copies", "deletes")) {
      Gauge.builder("forebay.store.requests", () -> storeRequests.get().getOrDefault(kind, 0L))
          .tag("kind", kind)
          .description("requests to object stores since the start of this process")
          .register(registry);
    }
  }

  private void gauge(String name, String description, ToDoubleFunction<NodeStatus> value) {
    Gauge.builder(name, () -> value.applyAsDouble(status.get()))
        .description(description)
        .register(registry);
  }

  @Override
  public void handle(HttpExchange exchange) {
    String path = exchange.head().target();
    exchange.answer(
        switch (path) {
          case "/metrics" -> text(200, "text/plain; version=0.0.4", registry.scrape());
          case "/healthz" -> text(200, "text/plain", "ok\n");
          case "/readyz" ->
              status.get().leaseHeld()
                  ? text(200, "text/plain", "ready\n")
                  : text(
                      503,
                      "text/plain",
                      "not ready: the node holds no lease; it does not reach the cluster's leader\n");
          case "/status" -> text(200, "application/json", report.get());
          default -> text(404, "text/plain", "there are /metrics, /healthz, /readyz and /status\n");
        });
  }

  @Override
  public Answer refuse(Refusal refusal) {
    return text(refusal == Refusal.BUSY ? 503 : 400, "text/plain", refusal.name() + "\n");
  }

  private static Answer text(int status, String type, String body) {
    return new Answer(
        status, List.of(new Header("content-type", type)), body.getBytes(StandardCharsets.UTF_8));
  }
}
