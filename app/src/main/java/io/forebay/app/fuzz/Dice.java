package io.forebay.app.fuzz;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Chance from a seed: the same seed gives the same talks. */
final class Dice {
  private static final List<String> NUMBERS =
      List.of(
          "0",
          "1",
          "-1",
          "10000",
          "10001",
          "2147483647",
          "2147483648",
          "4294967296",
          "9223372036854775807",
          "9223372036854775808",
          "18446744073709551616",
          "1e3",
          "0x10",
          "+5",
          " 7",
          "٣",
          "",
          "NaN",
          "00000000000000000000000000000000001");

  private static final int MAX_RUN = 64;

  /** Bytes that mean something somewhere, or that signs and tables end with. */
  private static final byte[] EDGES = {
    0, (byte) 0xff, 0x7f, (byte) 0x80, '\r', '\n', ':', ' ', '%'
  };

  private final Random random;

  Dice(long seed) {
    random = new Random(seed);
  }

  /** From 0, below the bound. */
  int below(int bound) {
    return random.nextInt(bound);
  }

  /** True once in so many. */
  boolean oneIn(int count) {
    return random.nextInt(count) == 0;
  }

  @SafeVarargs
  final <T> T of(T... choices) {
    return choices[below(choices.length)];
  }

  /** A number as text, often one at an edge, sometimes none. */
  String number() {
    return oneIn(3) ? Long.toString(random.nextLong()) : NUMBERS.get(below(NUMBERS.size()));
  }

  byte[] bytes(int length) {
    var bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  /** A text of so many letters. */
  String word(int length) {
    var text = new StringBuilder(length);
    for (int i = 0; i < length; i++) {
      text.append((char) ('a' + below(26)));
    }
    return text.toString();
  }

  /** Some bytes with one to four things wrong: changed, lost, doubled, put in, or cut off. */
  byte[] bent(byte[] good) {
    byte[] bytes = good;
    for (int times = 1 + below(4); times > 0 && bytes.length > 0; times--) {
      bytes = bentOnce(bytes);
    }
    return bytes;
  }

  private byte[] bentOnce(byte[] good) {
    int at = below(good.length);
    int run = Math.min(1 + below(MAX_RUN), good.length - at);
    byte[] rest = Arrays.copyOfRange(good, at, good.length);
    byte[] behind = Arrays.copyOfRange(good, at + run, good.length);
    var out = new ByteArrayOutputStream(good.length + MAX_RUN);
    out.write(good, 0, at);
    switch (below(7)) {
      case 0 -> { // a bit
        out.write(rest[0] ^ (1 << below(8)));
        out.write(rest, 1, rest.length - 1);
      }
      case 1 -> { // an edge
        out.write(EDGES[below(EDGES.length)]);
        out.write(rest, 1, rest.length - 1);
      }
      case 2 -> out.writeBytes(behind);
      case 3 -> { // doubled
        out.write(rest, 0, run);
        out.writeBytes(rest);
      }
      case 4 -> {
        out.writeBytes(bytes(run));
        out.writeBytes(rest);
      }
      case 5 -> {
        out.writeBytes(number().getBytes(StandardCharsets.UTF_8));
        out.writeBytes(rest);
      }
      default -> {
        if (!oneIn(4)) { // cut off, but seldom
          out.writeBytes(rest);
        }
      }
    }
    return out.toByteArray();
  }
}
