package io.forebay.sim.check;

import io.forebay.core.rule.Rule;
import java.util.List;
import java.util.function.Supplier;

/**
 * A kind of small world: the sizes in which nothing may break, and the rules whose absence has to
 * be noticed.
 *
 * @param quick explored in CI
 * @param full explored by {@code ./forebay check}, beside the quick ones
 */
public record Case(String name, List<World> quick, List<World> full, List<Mutation> mutations) {
  /**
   * A world of some size.
   *
   * @param states how many are looked at, at most
   */
  public record World(String name, Supplier<? extends Scope<?>> scope, int states) {
    Explorer.Result explore() {
      return explore(name, scope.get(), states);
    }

    private static <S> Explorer.Result explore(String name, Scope<S> scope, int states) {
      return new Explorer<>(name, scope, states).run();
    }
  }

  /**
   * A rule that is left out, and the world in which that shows.
   *
   * @param shows words of what is broken then: anything else would be an accident
   */
  public record Mutation(Rule rule, World world, String shows) {
    boolean shown(Explorer.Result result) {
      return result.violation().filter(broken -> broken.what().contains(shows)).isPresent();
    }
  }

  /** All there are. */
  static List<Case> all() {
    return List.of(GroupScope.CASE, FlushScope.CASE, SessionScope.CASE, LeaseScope.CASE);
  }
}
