package io.forebay.sim.world;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * What happened in a run: a running digest over all of it, and the last of it for people. Messages,
 * of which there are many, become words only when somebody wants to read them.
 */
public final class EventLog {
  private static final int KEPT_LINES = 1_500;

  private record Line(long order, long atNanos, String text) {}

  private record Sent(long order, long atNanos, String link, String what, long number) {
    Line line() {
      return new Line(order, atNanos, link + " " + what + " " + number);
    }
  }

  private final ArrayDeque<Line> lines = new ArrayDeque<>();
  private final ArrayDeque<Sent> messages = new ArrayDeque<>();
  private final CRC32C crc = new CRC32C();
  private long mixed;
  private long count;

  /** Adds a line. */
  public void add(long atNanos, String text) {
    crc.update(text.getBytes(StandardCharsets.UTF_8));
    mix(atNanos);
    lines.add(new Line(count, atNanos, text));
    if (lines.size() > KEPT_LINES) {
      lines.remove();
    }
  }

  /**
   * Adds a message.
   *
   * @param number its size, or whatever else tells it from others of its kind
   */
  public void message(long atNanos, String link, String what, long number) {
    mix(atNanos);
    mix(link.hashCode() * 31L + what.hashCode());
    mix(number);
    messages.add(new Sent(count, atNanos, link, what, number));
    if (messages.size() > KEPT_LINES) {
      messages.remove();
    }
  }

  private void mix(long value) {
    count++;
    mixed = (mixed ^ value) * 0x9E3779B97F4A7C15L;
    mixed ^= mixed >>> 29;
  }

  /** A number that two equal runs share: over everything so far, and how much it was. */
  public long digest() {
    return mixed ^ crc.getValue() << 32 ^ count;
  }

  /** The last lines, oldest first, without messages. */
  public List<String> last() {
    return words(new ArrayList<>(lines));
  }

  /** The last lines and messages, oldest first. */
  public List<String> lastWithMessages() {
    var all = new ArrayList<Line>(lines);
    messages.forEach(message -> all.add(message.line()));
    all.sort((a, b) -> Long.compare(a.order, b.order));
    return words(all);
  }

  private static List<String> words(List<Line> all) {
    return all.stream().map(line -> line.atNanos / 1_000 + "us " + line.text).toList();
  }
}
