package io.forebay.app.bench.evict;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;

/** Accesses to chunks, which all count as alike long, in their order. */
final class Trace {
  /** What an access does. */
  enum Kind {
    READ,
    WRITE,
    DROP
  }

  private final String name;
  private int[] chunks = new int[1 << 16];
  private Kind[] kinds = new Kind[1 << 16];
  private int length;
  private int bound;

  Trace(String name) {
    this.name = name;
  }

  /**
   * A text file: {@code r KEY}, {@code w KEY} or {@code d KEY} (read, written, deleted) on each
   * line.
   *
   * @throws ForebayException CONFIGURATION naming the line
   */
  static Trace read(Path file) {
    var trace = new Trace(String.valueOf(file.getFileName()));
    var numbers = new HashMap<String, Integer>();
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      int number = 0;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        number++;
        Kind kind =
            line.length() < 3 || line.charAt(1) != ' '
                ? null
                : switch (line.charAt(0)) {
                  case 'r' -> Kind.READ;
                  case 'w' -> Kind.WRITE;
                  case 'd' -> Kind.DROP;
                  default -> null;
                };
        if (kind == null) {
          throw new ForebayException(
              ErrorCode.CONFIGURATION,
              file + ", line " + number + ": is not 'r KEY', 'w KEY' or 'd KEY'");
        }
        trace.add(kind, numbers.computeIfAbsent(line.substring(2), key -> numbers.size()));
      }
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION, "the trace " + file + " cannot be read: " + failure, failure);
    }
    if (trace.length == 0) {
      throw new ForebayException(ErrorCode.CONFIGURATION, "the trace " + file + " is empty");
    }
    return trace;
  }

  void add(Kind kind, int chunk) {
    if (length == chunks.length) {
      chunks = Arrays.copyOf(chunks, 2 * length);
      kinds = Arrays.copyOf(kinds, 2 * length);
    }
    chunks[length] = chunk;
    kinds[length++] = kind;
    bound = Math.max(bound, chunk + 1);
  }

  String name() {
    return name;
  }

  /** Accesses. */
  int length() {
    return length;
  }

  /** Chunks are numbered below it. */
  int chunks() {
    return bound;
  }

  int chunk(int access) {
    return chunks[access];
  }

  Kind kind(int access) {
    return kinds[access];
  }

  /** The most chunks that there are at once: written or read, and not dropped yet. */
  int footprint() {
    var there = new boolean[bound];
    int count = 0;
    int most = 0;
    for (int i = 0; i < length; i++) {
      boolean now = kind(i) != Kind.DROP;
      if (there[chunks[i]] != now) {
        there[chunks[i]] = now;
        count += now ? 1 : -1;
        most = Math.max(most, count);
      }
    }
    return most;
  }

  /**
   * The share of the reads that find their chunk there.
   *
   * @param fill whether what is read and was not there is kept
   */
  double hitRatio(Policy policy, boolean fill) {
    long reads = 0;
    long hits = 0;
    for (int i = 0; i < length; i++) {
      switch (kind(i)) {
        case DROP -> policy.drop(chunks[i]);
        case WRITE -> {
          if (!policy.use(chunks[i])) {
            policy.add(chunks[i]);
          }
        }
        case READ -> {
          reads++;
          if (policy.use(chunks[i])) {
            hits++;
          } else if (fill) {
            policy.add(chunks[i]);
          }
        }
      }
    }
    return reads == 0 ? 0 : (double) hits / reads;
  }
}
