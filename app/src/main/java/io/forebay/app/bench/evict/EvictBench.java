package io.forebay.app.bench.evict;

import io.forebay.app.command.Json;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code bench evict}: hit ratios of eviction policies on traces. */
@Command(
    name = "evict",
    description = {
      "Replays traces of accesses through eviction policies and prints which share of the reads each would have"
          + " answered, by the cache's size as a share of what there is at once. No server runs.",
      "'disks' is what the disks do: least recently used, from the high watermark down to the low one. 'future'"
          + " knows what comes: nobody does better.",
      "With --fill what is read and was not there is kept, too; without it, as now, only what is written."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExample:%n",
    footer = "  forebay bench evict --fill --json rows.json")
public final class EvictBench implements Callable<Integer> {
  private static final double HIGH = 0.85;
  private static final double LOW = 0.75;
  private static final double[] SIZES = {0.1, 0.25, 0.5, 0.8};

  /** A policy by its name. */
  private record Named(String name, Maker maker) {}

  private interface Maker {
    Policy make(int most, Trace trace);
  }

  // The watermarks are shares of the disk, and all policies are to have the same chunks at most.
  private static final List<Named> POLICIES =
      List.of(
          new Named("disks", (most, trace) -> new Recency(most, (int) (most * LOW / HIGH))),
          new Named("lru", (most, trace) -> new Recency(most, most)),
          new Named("fifo", (most, trace) -> new Arrival(most)),
          new Named("sieve", (most, trace) -> new Sieve(most, trace.chunks())),
          new Named("s3-fifo", (most, trace) -> new ThreeQueues(most, trace.chunks())),
          new Named("lfu", (most, trace) -> new Frequency(most)),
          new Named("w-tinylfu", (most, trace) -> new TinyLfu(most)),
          new Named("future", Future::new));

  /**
   * What came of one policy.
   *
   * @param size of the cache, as a share of the trace's footprint
   */
  record Row(String trace, double size, int cacheChunks, String policy, double hitRatio) {}

  @Option(
      names = "--trace",
      paramLabel = "FILE",
      description =
          "Replays a file instead of what is made: 'r KEY', 'w KEY' or 'd KEY' (read, written, deleted) on each"
              + " line, a chunk each. May be repeated.")
  private List<Path> files = List.of();

  @Option(names = "--fill", description = "What is read and was not there is kept, too.")
  private boolean fill;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Of the traces that are made (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the rows to a file.")
  private @Nullable Path json;

  @Override
  public Integer call() {
    List<Trace> traces =
        files.isEmpty() ? Traces.all(seed) : files.stream().map(Trace::read).toList();
    System.out.printf(Locale.ROOT, "%-12s %5s", "trace", "size");
    POLICIES.forEach(policy -> System.out.printf(Locale.ROOT, " %9s", policy.name()));
    System.out.println();
    var rows = new ArrayList<Row>();
    for (Trace trace : traces) {
      for (double size : SIZES) {
        int most = Math.max(1, (int) (size * trace.footprint()));
        System.out.printf(Locale.ROOT, "%-12s %5.2f", trace.name(), size);
        for (Named policy : POLICIES) {
          double ratio = trace.hitRatio(policy.maker().make(most, trace), fill);
          rows.add(new Row(trace.name(), size, most, policy.name(), ratio));
          System.out.printf(Locale.ROOT, " %9.3f", ratio);
        }
        System.out.println();
      }
    }
    if (json != null) {
      try {
        Files.writeString(json, Json.of(Map.of("rows", rows, "fill", fill, "seed", seed)) + "\n");
      } catch (IOException failure) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION, "--json " + json + " cannot be written: " + failure, failure);
      }
    }
    return 0;
  }
}
