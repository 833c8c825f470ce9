package io.forebay.core.backing;

import java.util.EnumMap;
import java.util.concurrent.atomic.AtomicLong;

/** Counts requests of a store, by kind. */
public final class RequestCounter {
  /** A kind of request. */
  public enum Kind {
    HEAD,
    READ,
    PUT,
    STAGE,
    COMMIT,
    COPY,
    DELETE
  }

  private final EnumMap<Kind, AtomicLong> counts = new EnumMap<>(Kind.class);

  public RequestCounter() {
    for (Kind kind : Kind.values()) {
      counts.put(kind, new AtomicLong());
    }
  }

  /** One more was sent. */
  public void count(Kind kind) {
    of(kind).incrementAndGet();
  }

  private AtomicLong of(Kind kind) {
    AtomicLong count = counts.get(kind);
    if (count == null) {
      throw new IllegalStateException("no count for " + kind);
    }
    return count;
  }

  /** What was counted. */
  public StoreRequests requests() {
    return new StoreRequests(
        of(Kind.HEAD).get(),
        of(Kind.READ).get(),
        of(Kind.PUT).get(),
        of(Kind.STAGE).get(),
        of(Kind.COMMIT).get(),
        of(Kind.COPY).get(),
        of(Kind.DELETE).get());
  }
}
