package io.forebay.core.id;

/** An immutable piece of data; never used again. The sequence grows within the session, from 1. */
public record ChunkId(SessionId session, long sequence) implements Comparable<ChunkId> {
  public ChunkId {
    if (sequence < 1) {
      throw new IllegalArgumentException("chunk sequence begins at 1: " + sequence);
    }
  }

  @Override
  public int compareTo(ChunkId other) {
    int bySession = session.compareTo(other.session);
    return bySession != 0 ? bySession : Long.compare(sequence, other.sequence);
  }

  @Override
  public String toString() {
    return session + "-" + sequence;
  }
}
