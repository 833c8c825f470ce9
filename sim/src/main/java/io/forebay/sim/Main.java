package io.forebay.sim;

import io.forebay.sim.cluster.Checkpoint;
import io.forebay.sim.cluster.Readers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Runs a scenario over many seeds and says what broke, and how to see it again. */
public final class Main {
  private static final String USAGE =
      """
      Usage: ./forebay sim [--seeds N] [--start S] [--nodes N] [--operations N] [--json FILE] [--log] [--stop] [--readers]
        --seeds N        how many seeds to run (10)
        --start S        the first seed (1)
        --nodes N        nodes of each cluster, 3 to 9 (5)
        --operations N   operations of each seed (1000)
        --json FILE      write the facts there: seeds, operations, faults, violations, ...
        --log            print what happened before a violation in full, messages included
        --readers        run the scenario of directory leases: many readers, leaders that come and go
        --stop           run no further seed after one that broke a promise
      Exit status: 0 when no promise was broken, 1 when one was, 2 for wrong arguments.\
      """;
  private static final int SCENE_LINES = 60;

  private long seeds = 10;
  private long start = 1;
  private int nodes = 5;
  private int operations = 1_000;
  private String json = "";
  private boolean full;
  private boolean stop;
  private boolean readers;

  private Main() {}

  /** Runs the seeds; exit status 1 when a promise was broken. */
  public static void main(String[] args) throws IOException {
    var main = new Main();
    try {
      main.parse(args);
    } catch (IllegalArgumentException wrong) {
      System.err.println("forebay sim: " + wrong.getMessage());
      System.err.println(USAGE);
      System.exit(2);
    }
    System.exit(main.run() ? 0 : 1);
  }

  private void parse(String[] args) {
    for (int i = 0; i < args.length; i++) {
      if (args[i].equals("--log")) {
        full = true;
        continue;
      }
      if (args[i].equals("--readers")) {
        readers = true;
        continue;
      }
      if (args[i].equals("--stop")) {
        stop = true;
        continue;
      }
      if (args[i].equals("--help")) {
        System.out.println(USAGE);
        System.exit(0);
      }
      if (i + 1 == args.length) {
        throw new IllegalArgumentException("what is '" + args[i] + "'?");
      }
      String value = args[++i];
      switch (args[i - 1]) {
        case "--seeds" -> seeds = Long.parseLong(value);
        case "--start" -> start = Long.parseLong(value);
        case "--nodes" -> nodes = Integer.parseInt(value);
        case "--operations" -> operations = Integer.parseInt(value);
        case "--json" -> json = value;
        default -> throw new IllegalArgumentException("there is no option " + args[i - 1]);
      }
    }
    if (seeds < 1 || nodes < 3 || nodes > 9 || operations < 1) {
      throw new IllegalArgumentException("a number is out of its range");
    }
  }

  private boolean run() throws IOException {
    long began = System.nanoTime();
    var total = new Total();
    for (long seed = start; seed < start + seeds; seed++) {
      var plan = new Checkpoint.Plan(seed, nodes, operations);
      Checkpoint.Report report = readers ? Readers.run(plan) : Checkpoint.run(plan);
      total.add(report);
      if (!report.violations().isEmpty()) {
        tell(report);
        if (stop) {
          break;
        }
      }
      long ran = seed - start + 1;
      if (ran % 25 == 0 && ran < seeds) {
        System.out.println(
            ran + " of " + seeds + " seeds: " + total.line((System.nanoTime() - began) / 1e9));
      }
    }
    double wall = (System.nanoTime() - began) / 1e9;
    System.out.println(total.ran + " seeds: " + total.line(wall));
    System.out.println("faults: " + total.faults);
    if (readers) {
      System.out.println("answered from leases: " + total.fromMemory);
    }
    if (!json.isEmpty()) {
      Files.writeString(Path.of(json), total.json(wall));
    }
    return total.violations.isEmpty();
  }

  private void tell(Checkpoint.Report report) {
    System.out.println("seed " + report.seed() + " broke a promise:");
    report.violations().forEach(violation -> System.out.println("  " + violation));
    System.out.println("what had happened:");
    List<String> scene = report.scene();
    List<String> shown = full ? scene : scene.stream().filter(line -> !line.contains(">")).toList();
    shown
        .subList(full ? 0 : Math.max(0, shown.size() - SCENE_LINES), shown.size())
        .forEach(line -> System.out.println("  " + line));
    System.out.println("again: " + again(report.seed()));
  }

  private String again(long seed) {
    return "./forebay sim --seeds 1 --start "
        + seed
        + " --nodes "
        + nodes
        + " --operations "
        + operations
        + (readers ? " --readers" : "")
        + " --log";
  }

  private final class Total {
    final Map<String, Long> faults = new TreeMap<>();
    final List<String> violations = new ArrayList<>();
    long ran;
    long done;
    long acknowledged;
    long checks;
    long messages;
    long fromMemory;
    long simulatedNanos;

    void add(Checkpoint.Report report) {
      ran++;
      done += report.operations();
      acknowledged += report.acknowledged();
      checks += report.checks();
      messages += report.messages();
      fromMemory += report.fromMemory();
      simulatedNanos += report.simulatedNanos();
      report.faults().forEach((kind, count) -> faults.merge(kind, count, Long::sum));
      report.violations().forEach(each -> violations.add("seed " + report.seed() + ": " + each));
    }

    String line(double wallSeconds) {
      return String.format(
          Locale.ROOT,
          "%,d operations (%,d acknowledged), %,d faults, %,d checks, %,d messages, %d violations;"
              + " %,d simulated seconds in %.0f s",
          done,
          acknowledged,
          faults.values().stream().mapToLong(Long::longValue).sum(),
          checks,
          messages,
          violations.size(),
          simulatedNanos / 1_000_000_000L,
          wallSeconds);
    }

    String json(double wallSeconds) {
      var kinds = new ArrayList<String>();
      faults.forEach((kind, count) -> kinds.add(quoted(kind) + ": " + count));
      return "{\n"
          + "  \"seeds\": "
          + ran
          + ",\n"
          + "  \"firstSeed\": "
          + start
          + ",\n"
          + "  \"nodes\": "
          + nodes
          + ",\n"
          + "  \"operations\": "
          + done
          + ",\n"
          + "  \"acknowledged\": "
          + acknowledged
          + ",\n"
          + "  \"checks\": "
          + checks
          + ",\n"
          + "  \"faults\": {"
          + String.join(", ", kinds)
          + "},\n"
          + "  \"violations\": ["
          + String.join(", ", violations.stream().map(Main::quoted).toList())
          + "],\n"
          + "  \"simulatedSeconds\": "
          + simulatedNanos / 1_000_000_000L
          + ",\n"
          + String.format(Locale.ROOT, "  \"wallSeconds\": %.1f\n", wallSeconds)
          + "}\n";
    }
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
  }
}
