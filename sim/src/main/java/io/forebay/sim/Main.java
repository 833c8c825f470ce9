package io.forebay.sim;

import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import io.forebay.sim.cluster.Checkpoint;
import io.forebay.sim.cluster.Ranks;
import io.forebay.sim.cluster.Readers;
import io.forebay.sim.cluster.Redundancy;
import io.forebay.sim.cluster.Slow;
import io.forebay.sim.coverage.Coverage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import tools.jackson.databind.json.JsonMapper;

/** Runs a scenario over many seeds and says what broke, and how to see it again. */
public final class Main {
  private static final String USAGE =
      """
      Usage: ./forebay sim [--scenario NAME] [--seeds N | --seed S | --minutes M] [--start S] [--nodes N]
                           [--operations N] [--without RULE] [--json FILE] [--log] [--stop]
        --scenario NAME  checkpoint: writers, readers and all faults, bit rot too; flush: the same before an object
                         store with faults of its own and somebody else who writes there; readers: directory leases,
                         many readers, leaders that come and go; joins: as checkpoint, and nodes join while the others'
                         disks are nearly full of what is in no store; slow: while all nodes write and read, a node, a
                         disk, a NIC, one of three nodes, a third of the nodes, or all (seed by seed) become 20 times
                         slower; all: each of these, seed by seed; ranks: all nodes write a checkpoint at once, over
                         NICs of 1 Gbit/s, and of odd seeds a tenth of them, 10 at most, die in it; redundancy: while
                         clients write, a node is lost and made up for, over NICs of 2.5 Gbit/s (checkpoint)
        --seeds N        how many seeds to run (10)
        --seed S         this one only
        --minutes M      as many seeds as fit, instead of a number of them
        --start S        the first seed (1)
        --nodes N        nodes of each cluster, 3 to 1000 (5; ranks: 100, redundancy: 16, slow: 8)
        --operations N   operations of each seed (checkpoint, flush, joins: 1000, readers: 6000); ranks, redundancy: MiB
                         that are written beside each node (128, 1000); slow: seconds (15; always, of all)
        --without RULE   leave out a rule of core.rule.Rule, to see that it is noticed
        --json FILE      write the facts there: seeds, operations, faults, violations, what was measured, lines of
                         code that ran, ...
        --log            print what happened before a violation in full, messages included
        --stop           run no further seed after one that broke a promise
      Examples:
        ./forebay sim --scenario all --minutes 10
        ./forebay sim --seed 34 --log
      Exit status: 0 when no promise was broken, 1 when one was, 2 for wrong arguments.\
      """;
  private static final int SCENE_LINES = 60;
  private static final double SECONDS_OF_A_MINUTE = 60;

  /** What a world plays. */
  private enum Scenario {
    CHECKPOINT(5, 1_000),
    FLUSH(5, 1_000),
    READERS(5, 6_000),
    JOINS(5, 1_000),
    RANKS(100, 128),
    REDUNDANCY(16, 1_000),
    SLOW(8, 15);

    final int nodes;
    final int operations;

    Scenario(int nodes, int operations) {
      this.nodes = nodes;
      this.operations = operations;
    }

    Checkpoint.Report run(Checkpoint.Plan plan) {
      return switch (this) {
        case CHECKPOINT -> Checkpoint.run(plan);
        case FLUSH -> Checkpoint.runWithStore(plan);
        case READERS -> Readers.run(plan);
        case JOINS -> Checkpoint.runWithJoins(plan);
        case RANKS -> Ranks.run(plan);
        case REDUNDANCY -> Redundancy.run(plan);
        case SLOW -> Slow.run(plan);
      };
    }

    String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private long seeds = 10;
  private long start = 1;
  private int nodes; // 0: the scenario's own number
  private int operations; // 0: the scenario's own number
  private double minutes; // 0: so many seeds
  private String json = "";
  private Optional<Rule> without = Optional.empty();
  private boolean full;
  private boolean stop;
  private List<Scenario> scenarios = List.of(Scenario.CHECKPOINT);

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
        case "--seed" -> {
          start = Long.parseLong(value);
          seeds = 1;
        }
        case "--minutes" -> {
          minutes = Double.parseDouble(value);
          if (!(minutes > 0)) {
            throw new IllegalArgumentException("--minutes must be above 0");
          }
          seeds = Long.MAX_VALUE - start;
        }
        case "--scenario" -> scenarios = scenarios(value);
        case "--nodes" -> nodes = Integer.parseInt(value);
        case "--operations" -> operations = Integer.parseInt(value);
        case "--without" -> without = Optional.of(Rule.valueOf(value.toUpperCase(Locale.ROOT)));
        case "--json" -> json = value;
        default -> throw new IllegalArgumentException("there is no option " + args[i - 1]);
      }
    }
    if (seeds < 1 || (nodes != 0 && nodes < 3) || nodes > 1_000 || operations < 0) {
      throw new IllegalArgumentException("a number is out of its range");
    }
  }

  private static List<Scenario> scenarios(String name) {
    if (name.equals("all")) {
      return List.of(
          Scenario.CHECKPOINT, Scenario.FLUSH, Scenario.READERS, Scenario.JOINS, Scenario.SLOW);
    }
    List<Scenario> named =
        Stream.of(Scenario.values()).filter(each -> each.word().equals(name)).toList();
    if (named.isEmpty()) {
      throw new IllegalArgumentException(
          "there is no scenario '"
              + name
              + "'; there are all and "
              + Stream.of(Scenario.values()).map(Scenario::word).toList());
    }
    return named;
  }

  private boolean run() throws IOException {
    if (without.isEmpty()) {
      return runSeeds();
    }
    try (Broken _ = Broken.rule(without.get())) {
      return runSeeds();
    }
  }

  private boolean runSeeds() throws IOException {
    long began = System.nanoTime();
    var total = new Total();
    boolean go = true;
    for (long seed = start; go && seed - start < seeds; seed++) {
      for (Scenario scenario : scenarios) {
        var plan = new Checkpoint.Plan(seed, nodesOf(scenario), operationsOf(scenario));
        Checkpoint.Report report = scenario.run(plan);
        total.add(scenario, report);
        if (!report.violations().isEmpty()) {
          tell(scenario, plan, report);
          go &= !stop;
        }
      }
      double wall = (System.nanoTime() - began) / 1e9;
      go &= minutes == 0 || wall < minutes * SECONDS_OF_A_MINUTE;
      long ran = seed - start + 1;
      if (go && ran % 25 == 0 && ran < seeds) {
        System.out.println(
            ran + (minutes > 0 ? "" : " of " + seeds) + " seeds: " + total.line(wall));
      }
    }
    double wall = (System.nanoTime() - began) / 1e9;
    System.out.println(total.seeds.size() + " seeds: " + total.line(wall));
    System.out.println("faults: " + total.faults);
    if (scenarios.contains(Scenario.READERS)) {
      System.out.println("answered from leases: " + total.fromMemory);
    }
    total.figures.forEach((name, values) -> System.out.println(name + ": " + values));
    if (!json.isEmpty()) {
      Files.writeString(Path.of(json), total.json(wall));
    }
    return total.violations.isEmpty();
  }

  private int operationsOf(Scenario scenario) {
    boolean seconds = scenario == Scenario.SLOW && scenarios.size() > 1;
    return operations == 0 || seconds ? scenario.operations : operations;
  }

  private int nodesOf(Scenario scenario) {
    return nodes == 0 ? scenario.nodes : nodes;
  }

  private void tell(Scenario scenario, Checkpoint.Plan plan, Checkpoint.Report report) {
    System.out.println("seed " + report.seed() + " of " + scenario.word() + " broke a promise:");
    report.violations().forEach(violation -> System.out.println("  " + violation));
    System.out.println("what had happened:");
    List<String> scene = report.scene();
    List<String> shown = full ? scene : scene.stream().filter(line -> !line.contains(">")).toList();
    shown
        .subList(full ? 0 : Math.max(0, shown.size() - SCENE_LINES), shown.size())
        .forEach(line -> System.out.println("  " + line));
    System.out.println("again: " + again(scenario, plan));
  }

  private String again(Scenario scenario, Checkpoint.Plan plan) {
    return "./forebay sim --scenario "
        + scenario.word()
        + " --seed "
        + plan.seed()
        + " --nodes "
        + plan.nodes()
        + " --operations "
        + plan.operations()
        + without.map(rule -> " --without " + rule).orElse("")
        + " --log";
  }

  private final class Total {
    final Map<String, Long> faults = new TreeMap<>();
    final List<String> violations = new ArrayList<>();
    final TreeSet<Long> seeds = new TreeSet<>();
    long done;
    long acknowledged;
    long checks;
    long messages;
    long fromMemory;
    final Map<String, List<Double>> figures = new TreeMap<>(); // seed by seed
    long simulatedNanos;

    void add(Scenario scenario, Checkpoint.Report report) {
      seeds.add(report.seed());
      done += report.operations();
      acknowledged += report.acknowledged();
      checks += report.checks();
      messages += report.messages();
      fromMemory += report.fromMemory();
      simulatedNanos += report.simulatedNanos();
      report
          .figures()
          .forEach(
              (name, value) -> figures.computeIfAbsent(name, any -> new ArrayList<>()).add(value));
      report.faults().forEach((kind, count) -> faults.merge(kind, count, Long::sum));
      report
          .violations()
          .forEach(
              each -> violations.add(scenario.word() + ", seed " + report.seed() + ": " + each));
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
      var facts = new LinkedHashMap<String, Object>();
      facts.put("seeds", seeds.size());
      facts.put("firstSeed", start);
      facts.put("scenarios", scenarios.stream().map(Scenario::word).toList());
      facts.put("nodes", nodesOf(scenarios.getFirst()));
      facts.put("operations", done);
      facts.put("acknowledged", acknowledged);
      facts.put("checks", checks);
      facts.put("faults", faults);
      facts.put("violations", violations);
      facts.put("simulatedSeconds", simulatedNanos / 1_000_000_000L);
      facts.put("wallSeconds", wallSeconds);
      facts.put("simulatedPerWallSecond", simulatedNanos / 1e9 / wallSeconds);
      facts.put("figures", figures);
      Coverage.soFar(Path.of(""))
          .ifPresent(coverage -> {
            facts.put("lineCoverage", coverage.share());
            facts.put("lineCoverageByPackage", coverage.byPackage());
          });
      return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(facts) + "\n";
    }
  }
}
