package io.forebay.sim.world;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.List;
import java.util.zip.CRC32C;

/** What happened in a run: a running digest over all of it, and the last lines for people. */
public final class EventLog {
  private static final int KEPT_LINES = 2_000;

  private final ArrayDeque<String> last = new ArrayDeque<>();
  private final CRC32C crc = new CRC32C();
  private long count;

  /** Adds a line. */
  public void add(long atNanos, String line) {
    String full = atNanos / 1_000 + "us " + line;
    crc.update(full.getBytes(StandardCharsets.UTF_8));
    crc.update('\n');
    count++;
    last.add(full);
    if (last.size() > KEPT_LINES) {
      last.remove();
    }
  }

  /** A number that two equal runs share: over every line so far and their count. */
  public long digest() {
    return crc.getValue() << 32 | (count & 0xffffffffL);
  }

  /** The last lines, oldest first. */
  public List<String> last() {
    return List.copyOf(last);
  }
}
