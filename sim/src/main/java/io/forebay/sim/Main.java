package io.forebay.sim;

import io.forebay.sim.cluster.Checkpoint;

/** {@code --seeds N --start S --nodes N}: runs the checkpoint scenario and says what broke. */
public final class Main {
  private Main() {}

  /** Runs the seeds; exit status 1 when a promise was broken. */
  public static void main(String[] args) {
    long seeds = 10;
    long start = 1;
    int nodes = 5;
    for (int i = 0; i + 1 < args.length; i += 2) {
      switch (args[i]) {
        case "--seeds" -> seeds = Long.parseLong(args[i + 1]);
        case "--start" -> start = Long.parseLong(args[i + 1]);
        case "--nodes" -> nodes = Integer.parseInt(args[i + 1]);
        default -> throw new IllegalArgumentException("unknown option " + args[i]);
      }
    }
    long operations = 0;
    long faults = 0;
    long broken = 0;
    for (long seed = start; seed < start + seeds; seed++) {
      Checkpoint.Report report = Checkpoint.run(seed, nodes, 2);
      operations += report.operations();
      faults += report.faults();
      if (!report.violations().isEmpty()) {
        broken++;
        System.out.println("seed " + seed + ": " + report.violations().get(0));
        System.out.println(
            "  again: io.forebay.sim.Main --seeds 1 --start " + seed + " --nodes " + nodes);
      }
    }
    System.out.println(
        seeds
            + " seeds, "
            + operations
            + " operations, "
            + faults
            + " faults, "
            + broken
            + " seeds with violations");
    System.exit(broken == 0 ? 0 : 1);
  }
}
