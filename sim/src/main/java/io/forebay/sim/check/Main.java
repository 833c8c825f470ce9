package io.forebay.sim.check;

import io.forebay.core.rule.Broken;
import io.forebay.core.rule.Rule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/**
 * Explores the small worlds, then leaves out one rule after the other to see that it is noticed.
 */
public final class Main {
  private static final String USAGE =
      """
      Usage: ./forebay check [--quick] [--scope NAME] [--rule RULE] [--states N] [--json FILE]
      Goes through everything that can happen in small worlds made of the production state machines, and
      leaves out each rule of the protocols once, which has to be noticed.
        --quick        only the worlds that CI explores
        --scope NAME   only this kind of world
        --rule RULE    only this rule left out, and show what that leads to
        --states N     look at no more states of any world than this
        --json FILE    write the facts there: states, violations, mutationsCaught, mutationsTotal, worlds, mutations
      Examples:
        ./forebay check --json facts.json
        ./forebay check --scope group --rule R4
      Exit status: 0 when nothing broke and every rule left out was noticed, 1 otherwise, 2 for wrong arguments.\
      """;

  private boolean quick;
  private String scope = "";
  private String rule = "";
  private int states = Integer.MAX_VALUE;
  private String json = "";

  private final List<Map<String, Object>> worlds = new ArrayList<>();
  private final List<Map<String, Object>> mutations = new ArrayList<>();
  private long seen;
  private int caught;
  private final List<String> violations = new ArrayList<>();

  private Main() {}

  /** Explores; exit status 1 when something broke, or a rule was not missed. */
  public static void main(String[] args) throws IOException {
    var main = new Main();
    try {
      main.parse(args);
    } catch (IllegalArgumentException wrong) {
      System.err.println("forebay check: " + wrong.getMessage());
      System.err.println(USAGE);
      System.exit(2);
    }
    System.exit(main.run() ? 0 : 1);
  }

  private void parse(String[] args) {
    for (int i = 0; i < args.length; i++) {
      if (args[i].equals("--quick")) {
        quick = true;
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
        case "--scope" -> scope = value;
        case "--rule" -> rule = Rule.valueOf(value.toUpperCase(Locale.ROOT)).name();
        case "--states" -> states = Integer.parseInt(value);
        case "--json" -> json = value;
        default -> throw new IllegalArgumentException("there is no option " + args[i - 1]);
      }
    }
    if (cases().isEmpty()) {
      throw new IllegalArgumentException(
          "there is no scope '"
              + scope
              + "'; there are "
              + Case.all().stream().map(Case::name).toList());
    }
    if (states < 1) {
      throw new IllegalArgumentException("--states is at least 1");
    }
  }

  private List<Case> cases() {
    return Case.all().stream()
        .filter(each -> scope.isEmpty() || each.name().equals(scope))
        .toList();
  }

  private boolean run() throws IOException {
    for (Case each : cases()) {
      if (rule.isEmpty()) {
        each.quick().forEach(this::explore);
        (quick ? List.<Case.World>of() : each.full()).forEach(this::explore);
      }
      for (Case.Mutation mutation : each.mutations()) {
        if (rule.isEmpty() || mutation.rule().name().equals(rule)) {
          leaveOut(mutation);
        }
      }
    }
    System.out.printf(
        Locale.ROOT,
        "%,d states, %d violations; %d of %d rules left out were noticed%n",
        seen,
        violations.size(),
        caught,
        mutations.size());
    if (!json.isEmpty()) {
      var facts = new LinkedHashMap<String, Object>();
      facts.put("states", seen);
      facts.put("violations", violations);
      facts.put("mutationsCaught", caught);
      facts.put("mutationsTotal", mutations.size());
      facts.put("worlds", worlds);
      facts.put("mutations", mutations);
      Files.writeString(
          Path.of(json),
          JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(facts) + "\n");
    }
    return violations.isEmpty() && caught == mutations.size();
  }

  private Explorer.Result explored(Case.World world) {
    return new Case.World(world.name(), world.scope(), Math.min(states, world.states())).explore();
  }

  private void explore(Case.World world) {
    long began = System.nanoTime();
    Explorer.Result result = explored(world);
    double seconds = (System.nanoTime() - began) / 1e9;
    seen += result.states();
    System.out.printf(
        Locale.ROOT,
        "%-60s %,12d states, %,12d steps, depth %3d, %s, %.0f s: %s%n",
        world.name(),
        result.states(),
        result.steps(),
        result.depth(),
        result.whole() ? "all of them" : "cut off",
        seconds,
        result.violation().isPresent() ? "BROKEN" : "holds");
    result
        .violation()
        .ifPresent(violation -> {
          violations.add(world.name() + ": " + violation.what());
          tell(violation);
        });
    var row = new LinkedHashMap<String, Object>();
    row.put("world", world.name());
    row.put("states", result.states());
    row.put("steps", result.steps());
    row.put("depth", result.depth());
    row.put("whole", result.whole());
    row.put("seconds", seconds);
    worlds.add(row);
  }

  private void leaveOut(Case.Mutation mutation) {
    Explorer.Result result;
    try (Broken _ = Broken.rule(mutation.rule())) {
      result = explored(mutation.world());
    }
    boolean noticed = mutation.shown(result);
    caught += noticed ? 1 : 0;
    System.out.printf(
        Locale.ROOT,
        "without %-4s in %-60s: %s%n",
        mutation.rule(),
        mutation.world().name(),
        result
            .violation()
            .map(violation ->
                (noticed ? "" : "NOT ITS OWN: ")
                    + violation.what()
                    + ", after "
                    + violation.path().size()
                    + " steps ("
                    + result.states()
                    + " states)")
            .orElse("NOT NOTICED in " + result.states() + " states"));
    if (!rule.isEmpty()) {
      result.violation().ifPresent(this::tell);
    }
    var row = new LinkedHashMap<String, Object>();
    row.put("rule", mutation.rule().name());
    row.put("world", mutation.world().name());
    row.put("states", result.states());
    row.put("noticedAs", result.violation().map(Explorer.Violation::what).orElse(""));
    row.put("steps", result.violation().map(violation -> violation.path().size()).orElse(0));
    mutations.add(row);
  }

  private void tell(Explorer.Violation violation) {
    System.out.println("  " + violation.what());
    violation.path().forEach(step -> System.out.println("    " + step));
    violation.state().lines().forEach(line -> System.out.println("  | " + line));
  }
}
