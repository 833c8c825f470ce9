package io.forebay.gateway.s3;

import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/** The door's counters; as many as there are (operation, status) pairs in the code. */
final class S3Counters implements S3Metrics {
  private record Kind(String operation, int status) {}

  private final ConcurrentHashMap<Kind, LongAdder> requests = new ConcurrentHashMap<>();
  private final LongAdder received = new LongAdder();
  private final LongAdder sent = new LongAdder();

  void answered(String operation, int status) {
    requests.computeIfAbsent(new Kind(operation, status), kind -> new LongAdder()).increment();
  }

  void received(long bytes) {
    received.add(bytes);
  }

  void sent(long bytes) {
    sent.add(bytes);
  }

  @Override
  public List<Requests> requests() {
    return requests.entrySet().stream()
        .map(entry ->
            new Requests(entry.getKey().operation, entry.getKey().status, entry.getValue().sum()))
        .sorted(Comparator.comparing(Requests::operation).thenComparingInt(Requests::status))
        .toList();
  }

  @Override
  public long receivedBytes() {
    return received.sum();
  }

  @Override
  public long sentBytes() {
    return sent.sum();
  }
}
