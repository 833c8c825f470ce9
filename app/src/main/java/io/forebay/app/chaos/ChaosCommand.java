package io.forebay.app.chaos;

import io.forebay.app.command.Json;
import io.forebay.app.command.Progress;
import io.forebay.app.config.Span;
import io.forebay.app.demo.Servers;
import io.forebay.app.hosts.PowerDisk;
import io.forebay.core.cluster.Durability;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code chaos}. */
@Command(
    name = "chaos",
    description = {
      "Starts a cluster of real server processes and has clients write and read while nodes are killed, stopped, cut off,"
          + " lose their disk, their power (--power) or find their disk full, or are slow (--slow), and the store goes away; then mends all, reads every key through every node"
          + " and compares the store. Each key must behave as an atomic register: what was acknowledged is there, whole.",
      "A seed draws the faults and the writes, not their timing. A failure prints the seed and where the logs are, and"
          + " ends with 1. As root with iproute2 nodes are cut off and a disk is filled too; else these are left out.",
      "docs/chaos.md says what is done and checked."
    },
    mixinStandardHelpOptions = true,
    footerHeading = "%nExamples:%n",
    footer = {
      "  forebay chaos --minutes 10 --json facts.json",
      "  forebay chaos --seeds 50 --seed 1000 --nodes 5 --store azurite",
      "  forebay chaos --minutes 60 --client boto3",
      "  forebay chaos --minutes 10 --power",
      "  forebay chaos --minutes 10 --slow",
      "  forebay chaos --seed 4711 --keep"
    })
public final class ChaosCommand implements Callable<Integer> {
  private static final int LEAST_NODES = 3;
  private static final int MOST_NODES = 7;
  private static final int MOST_FAILURES = 5;
  private static final int DEFAULT_SEEDS = 10;
  private static final double NANOS_OF_A_MINUTE = 60e9;

  @Option(
      names = "--seed",
      paramLabel = "NUMBER",
      description = "The first seed, and the only one where nothing else is said (default: drawn).")
  private @Nullable Long seed;

  @Option(
      names = "--seeds",
      paramLabel = "COUNT",
      description =
          "How many seeds, one after the other (default: 10, or as many as --minutes allows).")
  private @Nullable Integer seeds;

  @Option(
      names = "--minutes",
      paramLabel = "MINUTES",
      description = "Begins no seed after that time.")
  private @Nullable Double minutes;

  @Option(names = "--nodes", description = "3 to 7 (default: ${DEFAULT-VALUE}).")
  private int nodes = LEAST_NODES;

  @Option(
      names = "--store",
      description =
          "none, dir (a directory) or azurite (an Azure Blob emulator from npm). Default: dir.")
  private String store = "dir";

  @Option(
      names = "--client",
      description =
          "Who writes and reads: wire (as the command line does) or boto3 (its default settings, at the S3 doors)."
              + " Default: wire.")
  private Chaos.Client client = Chaos.Client.WIRE;

  @Option(
      names = "--power",
      description =
          "Cuts the power of nodes, too: of one, and of all at once. Each node then has a disk of its own that forgets"
              + " what it was not told to keep; none is filled. Needs root, iproute2, /dev/fuse, loop devices, ext4 and"
              + " python3.")
  private boolean power;

  @Option(
      names = "--slow",
      description =
          "Makes links and disks 20 times slower, one at a time or all at once, and nothing else. Links then have"
              + " 200 Mbit/s, disks 40 MB/s. Needs what --power does.")
  private boolean slow;

  @Option(
      names = "--durability",
      paramLabel = "DURABILITY",
      description =
          "Of the bucket: synced or replicated (default: synced with --power, else replicated). Under replicated a cut"
              + " of all power may lose what was written before; it must be named.")
  private @Nullable Durability durability;

  @Option(
      names = "--stall",
      paramLabel = "SPAN",
      description =
          "How long a write may stand while one node, or the store, is away (default: 3s; with boto3, of which only"
              + " whole writes are seen, 20s). More on a crowded machine.")
  private @Nullable String stall;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description =
          "Where the cluster writes; some 5 GiB should be free (default: the directory for temporary files).")
  private @Nullable Path parent;

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the facts to a file.")
  private @Nullable Path json;

  @Option(
      names = "--keep",
      description =
          "Leaves the directories of a cluster on which a seed failed; without it, only its logs.")
  private boolean keep;

  private final List<String> violations = new ArrayList<>();
  private long done;

  @Override
  public Integer call() throws IOException, InterruptedException {
    check();
    Chaos.Plan plan = plan();
    long first = seed == null ? ThreadLocalRandom.current().nextInt(1, 1 << 30) : seed;
    Path root =
        parent == null
            ? Files.createTempDirectory("forebay-chaos-")
            : Files.createTempDirectory(parent.toAbsolutePath(), "forebay-chaos-");
    long begun = System.nanoTime();
    try (var sum = new Chaos.Sum()) {
      while (goesOn(begun)) {
        oneCluster(plan, first, begun, root.resolve("cluster-" + violations.size()), sum);
      }
      tell(facts(first, begun, sum));
    } catch (ForebayException failure) {
      System.err.println("the cluster's logs are in " + root);
      throw failure;
    }
    if (!violations.isEmpty()) {
      return 1;
    }
    Servers.remove(root);
    return 0;
  }

  private void check() {
    require(nodes >= LEAST_NODES && nodes <= MOST_NODES, "--nodes is 3 to 7");
    require(seeds == null || seeds >= 1, "--seeds is at least 1");
    require(minutes == null || minutes > 0, "--minutes is above 0");
    require(
        List.of("none", "dir", "azurite").contains(store),
        "--store: '" + store + "' is not none, dir or azurite");
    require(
        !power || durability() == Durability.SYNCED || client == Chaos.Client.WIRE,
        "--power with --durability replicated needs --client wire, which tells losses by their name");
    require(!power || !slow, "--power and --slow are two runs");
    if (power || slow) {
      Optional<String> missing = PowerDisk.missing();
      require(
          missing.isEmpty(),
          (power ? "--power" : "--slow") + " needs " + missing.orElse("nothing"));
    }
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new ForebayException(ErrorCode.CONFIGURATION, otherwise);
    }
  }

  private Chaos.Plan plan() {
    String most = client == Chaos.Client.WIRE ? "3s" : "20s";
    return new Chaos.Plan(
        nodes,
        store,
        client,
        Span.parseMillis("--stall", Optional.ofNullable(stall).orElse(most)),
        power
            ? Machines.Hardware.POWERED
            : slow ? Machines.Hardware.PACED : Machines.Hardware.PLAIN,
        durability());
  }

  private Durability durability() {
    return Optional.ofNullable(durability)
        .orElse(power ? Durability.SYNCED : Durability.REPLICATED);
  }

  private boolean goesOn(long begunNanos) {
    boolean time = minutes == null || minutesSince(begunNanos) < minutes;
    return done < count() && time && violations.size() < MOST_FAILURES;
  }

  private long count() {
    if (seeds != null) {
      return seeds;
    }
    return minutes != null ? Long.MAX_VALUE : seed != null ? 1 : DEFAULT_SEEDS;
  }

  private static double minutesSince(long nanos) {
    return (System.nanoTime() - nanos) / NANOS_OF_A_MINUTE;
  }

  private void oneCluster(Chaos.Plan plan, long first, long begun, Path root, Chaos.Sum sum)
      throws IOException, InterruptedException {
    Files.createDirectories(root);
    if (runsWell(plan, first, begun, root, sum)) {
      Servers.remove(root);
    } else if (!keep) {
      Machines.removeData(root);
    }
  }

  /** Runs seeds on a cluster until all are done, or one fails: whether none failed. */
  private boolean runsWell(Chaos.Plan plan, long first, long begun, Path root, Chaos.Sum sum)
      throws IOException, InterruptedException {
    try (Chaos chaos = new Chaos(plan, root, sum)) {
      if (violations.isEmpty()) {
        tellOfFaults(chaos);
      }
      while (goesOn(begun)) {
        long current = first + done;
        done++;
        try (Progress progress = line(current)) {
          chaos.run(current, progress);
        } catch (InterruptedException cancelled) {
          throw cancelled;
        } catch (Exception failure) {
          failed(current, failure, root);
          return false;
        }
      }
      return true;
    }
  }

  private static Progress line(long current) {
    return new Progress(System.out, "seed " + current, 0);
  }

  private static void tellOfFaults(Chaos chaos) {
    List<String> left =
        Stream.of(Fault.values())
            .filter(fault -> !chaos.kinds().contains(fault))
            .map(Fault::word)
            .toList();
    if (!left.isEmpty()) {
      System.out.println(
          "left out, for they need root, iproute2, a store, --slow (which makes nothing else) or --power (which fills no"
              + " disk): "
              + String.join(", ", left));
    }
  }

  private void failed(long current, Exception failure, Path root) {
    String what =
        failure instanceof Violation ? String.valueOf(failure.getMessage()) : failure.toString();
    violations.add("seed " + current + ": " + what);
    System.out.println("seed " + current + " BROKE A PROMISE: " + what);
    System.out.println(
        "   again: ./forebay chaos --seed %d --nodes %d --store %s --client %s%s --durability %s --keep"
            .formatted(
                current,
                nodes,
                store,
                client.name().toLowerCase(Locale.ROOT),
                power ? " --power" : slow ? " --slow" : "",
                durability().name().toLowerCase(Locale.ROOT)));
    System.out.println(
        "   what happened is in %s%s"
            .formatted(
                root.resolve("story"),
                keep ? ", with the nodes' directories" : ", with the nodes' logs"));
  }

  private ChaosFacts facts(long first, long begun, Chaos.Sum sum) {
    return new ChaosFacts(
        done,
        first,
        nodes,
        store,
        client.name().toLowerCase(Locale.ROOT),
        sum.operations,
        sum.acknowledged,
        durability().name().toLowerCase(Locale.ROOT),
        sum.lost,
        sum.faults.counts(),
        List.copyOf(violations),
        sum.stalls.longestMillis(),
        sum.stalls.megabytesPerSecond(),
        new ChaosFacts.LossKnown(sum.faults.lossKnownMillis(50), sum.faults.lossKnownMillis(99)),
        minutesSince(begun));
  }

  private void tell(ChaosFacts facts) throws IOException {
    System.out.printf(
        Locale.ROOT,
        "%d seeds from %d on in %.1f minutes: %d operations, %d acknowledged, %d violations%n",
        facts.seeds(),
        facts.firstSeed(),
        facts.minutes(),
        facts.operations(),
        facts.acknowledged(),
        facts.violations().size());
    System.out.println("faults: " + facts.faults());
    if (facts.lost() > 0) {
      System.out.println("objects lost by cuts of all power, each named: " + facts.lost());
    }
    System.out.println("longest stall of a write, ms, by fault: " + facts.longestStallMillis());
    System.out.println("MB/s of the steady writer, by fault: " + facts.steadyMegabytesPerSecond());
    System.out.printf(
        "loss of a node known after, ms: p50 %d, p99 %d%n",
        facts.lossKnownMillis().p50(), facts.lossKnownMillis().p99());
    if (json != null) {
      Files.writeString(json, Json.of(facts) + "\n");
    }
  }
}
