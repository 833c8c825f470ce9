package io.forebay.app.fuzz;

import io.forebay.app.command.Json;
import io.forebay.app.config.Span;
import io.forebay.app.demo.Servers;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code fuzz}. */
@Command(
    name = "fuzz",
    description = {
      "Says to a server process of its own what no client should say, at the S3 door and at the transport, with right"
          + " requests in between, and watches: it must answer or close within a bound, log no error, give back all"
          + " that it took, show nothing that it refused, and keep what it has.",
      "Each seed makes the same talks again. A failure prints the seed and the last talks in hex, and ends with 1."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExamples:%n",
    footer = {
      "  forebay fuzz --for 60s",
      "  forebay fuzz --seeds 1000 --tls --json result.json",
      "  forebay fuzz --seed 4711"
    })
public final class FuzzCommand implements Callable<Integer> {
  @Option(
      names = "--seed",
      paramLabel = "NUMBER",
      description = "The first seed, and the only one where nothing else is said (default: drawn).")
  private @Nullable Long seed;

  @Option(
      names = "--seeds",
      paramLabel = "COUNT",
      description =
          "How many seeds, one after the other (default: 10, or as many as --for allows).")
  private @Nullable Integer seeds;

  @Option(
      names = "--for",
      paramLabel = "TIME",
      description = "Begins no seed after that time, such as 60s or 2h.")
  private @Nullable String time;

  @Option(names = "--tls", description = "The S3 door speaks TLS.")
  private boolean tls;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description =
          "Where the server writes; some 5 GiB should be free. Removed at the end, unless there was a failure"
              + " (default: the directory for temporary files).")
  private @Nullable Path parent;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description =
          "Writes to a file how many seeds and talks there were, and the failure if there was one.")
  private @Nullable Path json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    long first = seed == null ? ThreadLocalRandom.current().nextInt(1, 1 << 30) : seed;
    long count = count();
    long forNanos = time == null ? Long.MAX_VALUE : Span.parseMillis("--for", time) * 1_000_000;
    Path root =
        parent == null
            ? Files.createTempDirectory("forebay-fuzz-")
            : Files.createTempDirectory(parent.toAbsolutePath(), "forebay-fuzz-");
    var result = new TreeMap<String, Object>(Map.of("firstSeed", first, "tls", tls));
    String failure = "";
    long done = 0;
    long begun = System.nanoTime();
    try (Fuzzer fuzzer = Fuzzer.start(root, tls)) {
      var reaper = new Thread(fuzzer::close, "fuzz-reaper");
      Runtime.getRuntime().addShutdownHook(reaper);
      begun = System.nanoTime();
      do {
        fuzzer.run(first + done);
        done++;
      } while (done < count && System.nanoTime() - begun < forNanos);
      result.put("talks", fuzzer.talks());
    } catch (Defect defect) {
      failure = String.valueOf(defect.getMessage());
    }
    result.put("seeds", done);
    result.put("seconds", (System.nanoTime() - begun) / 1_000_000_000L);
    result.put("failure", failure);
    if (json != null) {
      Files.writeString(json, Json.of(result) + "\n");
    }
    if (failure.isEmpty()) {
      System.out.printf("%d seeds from %d on, nothing found%n", done, first);
      Servers.remove(root);
      return 0;
    }
    System.err.println(failure);
    System.err.printf(
        "again: forebay fuzz --seed %d%s; the server's log is in %s%n",
        first + done, tls ? " --tls" : "", root);
    return 1;
  }

  private long count() {
    if (seeds != null && seeds < 1) {
      throw new ForebayException(ErrorCode.CONFIGURATION, "--seeds is at least 1");
    }
    if (seeds != null) {
      return seeds;
    }
    return time != null ? Long.MAX_VALUE : seed != null ? 1 : 10;
  }
}
