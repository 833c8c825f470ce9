package io.forebay.core.log;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Commands for tests: each is written down at its position, and answered with how many there were,
 * itself included. The text of a command is what stands before its first zero byte.
 */
public final class Ledger implements Commands {
  private static final byte[] COUNT = {2};

  @Override
  public byte[] apply(
      long position, long wallMillis, int level, byte[] command, SortedMap.View in, Batch out) {
    byte[] count = ByteBuffer.allocate(Long.BYTES).putLong(count(in) + 1).array();
    out.put(COUNT, count);
    out.put(ByteBuffer.allocate(1 + Long.BYTES).put((byte) 1).putLong(position).array(), command);
    return count;
  }

  @Override
  public int check(byte[] command) {
    if (command.length == 0) {
      throw new ForebayException(ErrorCode.CORRUPT, "a command without a byte");
    }
    return Level.FIRST;
  }

  @Override
  public byte[] query(SortedMap.View in, byte[] query) {
    return ByteBuffer.allocate(Long.BYTES).putLong(count(in)).array();
  }

  private static long count(SortedMap.View in) {
    return in.get(COUNT).map(Ledger::number).orElse(0L);
  }

  /** The number in an answer. */
  public static long number(byte[] answer) {
    return ByteBuffer.wrap(answer).getLong();
  }

  /** The texts of all commands applied to a map, in order. */
  public static List<String> texts(SortedMap map) {
    var texts = new ArrayList<String>();
    try (SortedMap.View view = map.view()) {
      view.scan(
          new byte[] {1},
          COUNT,
          (key, value) -> {
            int end = 0;
            while (end < value.length && value[end] != 0) {
              end++;
            }
            texts.add(new String(value, 0, end, StandardCharsets.UTF_8));
            return true;
          });
    }
    return texts;
  }
}
