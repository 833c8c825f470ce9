package io.forebay.sim.check;

import io.forebay.core.rule.Rule;
import java.util.List;
import java.util.function.Supplier;

/**
 * A scope in two sizes. Each supply is a new one: a scope remembers what the state machine
 * answered, and must not outlive a rule that was left out.
 *
 * @param small explored whole in a few seconds
 * @param large as much as a machine has time for
 * @param rules that are seen to be missing in the small size
 */
public record Checked(
    String name,
    Supplier<? extends Scope<?>> small,
    Supplier<? extends Scope<?>> large,
    List<Rule> rules) {
  public Checked {
    rules = List.copyOf(rules);
  }

  /**
   * Explores one of its scopes; blocking.
   *
   * @param most states that are looked at
   */
  public Explorer.Result explore(boolean whole, int most) {
    Supplier<? extends Scope<?>> supply = whole ? large : small;
    return explore(name, supply.get(), most);
  }

  private static <S> Explorer.Result explore(String name, Scope<S> scope, int most) {
    return new Explorer<>(name, scope, most).run();
  }
}
