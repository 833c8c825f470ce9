package io.forebay.app.bench;

import io.forebay.app.bench.evict.EvictBench;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code bench}. */
@Command(
    name = "bench",
    description = "Measures, against a named baseline in the same run.",
    mixinStandardHelpOptions = true,
    footerHeading = "%nExample:%n",
    footer = {
      "  forebay bench checkpoint",
      "  forebay bench s3 --json rows.json",
      "  forebay bench leases",
      "  forebay bench meta --json rows.json",
      "  forebay bench evict --fill"
    },
    subcommands = {
      CheckpointBench.class,
      S3Bench.class,
      LeaseBench.class,
      MetaBench.class,
      EvictBench.class
    })
public final class BenchCommand implements Runnable {
  @Spec private @Nullable CommandSpec spec;

  @Override
  public void run() {
    if (spec != null) {
      throw new ParameterException(
          spec.commandLine(), "a benchmark is missing: checkpoint, s3, leases, meta or evict");
    }
  }
}
