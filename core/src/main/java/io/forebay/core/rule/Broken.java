package io.forebay.core.rule;

import java.util.EnumSet;
import java.util.Set;

/**
 * Leaves a rule out, in the whole process, until it is closed: for the simulator and the checker,
 * which have to notice.
 */
public final class Broken implements AutoCloseable {
  // Written while nothing else runs.
  static final Set<Rule> LEFT_OUT = EnumSet.noneOf(Rule.class);

  private final Rule rule;

  private Broken(Rule rule) {
    this.rule = rule;
  }

  /** Leaves the rule out from now on. Not while anything that asks for it runs. */
  public static Broken rule(Rule rule) {
    LEFT_OUT.add(rule);
    return new Broken(rule);
  }

  @Override
  public void close() {
    LEFT_OUT.remove(rule);
  }
}
