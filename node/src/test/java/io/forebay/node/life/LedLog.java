package io.forebay.node.life;

import io.forebay.core.env.Outcome;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Consensus;
import io.forebay.core.log.Leadership;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.Optional;
import java.util.OptionalLong;

/** A log that node a leads for as long as a test says, and that takes nothing. */
final class LedLog implements Consensus {
  static final NodeId SELF = new NodeId("a");

  private final SortedMap map = new MemorySortedMap();
  OptionalLong awaited = OptionalLong.empty();
  boolean leads = true;
  int handedOver;

  @Override
  public Leadership leadership() {
    return new Leadership(1, Optional.of(leads ? SELF : new NodeId("b")), leads);
  }

  @Override
  public OptionalLong awaitsOwnDisk() {
    return awaited;
  }

  @Override
  public void handOver(long timeoutNanos) {
    handedOver++;
  }

  @Override
  public SortedMap map() {
    return map;
  }

  @Override
  public Outcome<byte[]> propose(byte[] entry) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void confirmRead(long timeoutNanos) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
