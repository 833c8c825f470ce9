package io.forebay.core.log;

import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.id.NodeId;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A {@link Consensus} of one voter that keeps nothing but its map; entries are applied as they
 * come.
 */
public final class LocalConsensus implements Consensus {
  private static final long TERM = 1;

  private final Env env;
  private final NodeId self;
  private final SortedMap map;
  private final Machine machine;
  private final ReentrantLock lock = new ReentrantLock();
  private long index; // guarded by lock

  public LocalConsensus(Env env, NodeId self, SortedMap map, Machine machine) {
    this.env = env;
    this.self = self;
    this.map = map;
    this.machine = machine;
  }

  @Override
  public Outcome<byte[]> propose(byte[] entry) {
    lock.lock();
    try {
      index++;
      var batch = new Batch();
      byte[] answer;
      try (SortedMap.View view = map.view()) {
        answer = machine.apply(TERM, index, entry, view, batch);
      }
      map.write(batch);
      return Outcome.of(env, answer);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void confirmRead(long timeoutNanos) {
    // There is nobody else who could have taken over.
  }

  @Override
  public void handOver(long timeoutNanos) {
    // To nobody.
  }

  @Override
  public OptionalLong awaitsOwnDisk() {
    return OptionalLong.empty();
  }

  @Override
  public Leadership leadership() {
    return new Leadership(TERM, Optional.of(self), true);
  }

  @Override
  public SortedMap map() {
    return map;
  }

  @Override
  public void close() {}
}
