package io.forebay.sim.check;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Goes through all states of a scope, breadth first, so that a counterexample is a shortest one. A
 * state is remembered as 64 bits of its encoding: at 10^7 states the chance that any is missed is
 * below one in a hundred thousand. Some 25 bytes for each state, and the states of one rim.
 */
public final class Explorer<S> {
  /**
   * What came of it.
   *
   * @param states different ones that were seen
   * @param steps that led from one to another
   * @param depth steps of the longest way from the start that was looked at
   * @param whole whether that is all there are
   * @param violation the first one
   */
  public record Result(
      String scope,
      long states,
      long steps,
      int depth,
      boolean whole,
      Optional<Violation> violation) {}

  /** A broken promise, and the steps that lead there. */
  public record Violation(String what, List<String> path, String state) {}

  private static final int NOWHERE = -1;

  private final String name;
  private final Scope<S> scope;
  private final int most;
  private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
  private long[] table = new long[1 << 16];
  private int[] numbers = new int[1 << 16];
  private int[] parents = new int[1 << 14];
  private short[] ordinals = new short[1 << 14];
  private int count;
  // Of steps that are no faults, backwards: from, to.
  private int[] edges = new int[1 << 16];
  private int edgeCount;
  private long steps;
  private final ArrayDeque<S> rim = new ArrayDeque<>();
  private int expanded;
  private int ordinal;
  private Optional<String> broken = Optional.empty();
  private final List<Integer> settled = new ArrayList<>();

  /**
   * @param most states that are looked at
   */
  public Explorer(String name, Scope<S> scope, int most) {
    this.name = name;
    this.scope = scope;
    this.most = most;
  }

  /** Explores; blocking. */
  public Result run() {
    take(scope.start(), NOWHERE, 0);
    int depth = 0;
    int levelEnd = count;
    Scope.Steps<S> taker =
        new Scope.Steps<>() {
          @Override
          public void step(String step, S next) {
            add(next, false);
          }

          @Override
          public void fault(String step, S next) {
            add(next, true);
          }
        };
    while (!rim.isEmpty() && broken.isEmpty() && count < most) {
      if (expanded == levelEnd) {
        depth++;
        levelEnd = count;
      }
      S state = rim.poll();
      ordinal = 0;
      scope.steps(state, taker);
      expanded++;
    }
    if (broken.isPresent()) {
      return result(depth, Optional.of(violation(broken.get(), count - 1)));
    }
    return result(depth, rim.isEmpty() ? stuck() : Optional.empty());
  }

  private Result result(int depth, Optional<Violation> violation) {
    return new Result(name, count, steps, depth, rim.isEmpty(), violation);
  }

  private void add(S next, boolean fault) {
    int place = ordinal++;
    if (broken.isPresent()) {
      return;
    }
    steps++;
    int number = take(next, expanded, place);
    if (!fault && number != expanded) {
      if (edgeCount + 2 > edges.length) {
        edges = Arrays.copyOf(edges, edges.length * 2);
      }
      edges[edgeCount++] = expanded;
      edges[edgeCount++] = number;
    }
  }

  /** The state's number; a new one goes to the rim. */
  private int take(S state, int parent, int place) {
    buffer.clear();
    scope.encode(state, buffer);
    long print = fingerprint(buffer);
    if (count * 2 >= table.length) {
      grow();
    }
    int slot = slot(table, print);
    if (table[slot] == print) {
      return numbers[slot];
    }
    table[slot] = print;
    numbers[slot] = count;
    if (count == parents.length) {
      parents = Arrays.copyOf(parents, count * 2);
      ordinals = Arrays.copyOf(ordinals, count * 2);
    }
    parents[count] = parent;
    ordinals[count] = (short) place;
    rim.add(state);
    if (scope.settled(state)) {
      settled.add(count);
    }
    broken = scope.broken(state);
    return count++;
  }

  private void grow() {
    long[] prints = new long[table.length * 2];
    int[] moved = new int[prints.length];
    for (int i = 0; i < table.length; i++) {
      if (table[i] != 0) {
        int slot = slot(prints, table[i]);
        prints[slot] = table[i];
        moved[slot] = numbers[i];
      }
    }
    table = prints;
    numbers = moved;
  }

  private static int slot(long[] prints, long print) {
    int mask = prints.length - 1;
    int slot = (int) (print >>> 20) & mask;
    while (prints[slot] != 0 && prints[slot] != print) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** 64 bits that depend on every byte; never 0. */
  private static long fingerprint(ByteBuffer bytes) {
    long hash = 0x9E3779B97F4A7C15L ^ bytes.position();
    for (int i = 0; i < bytes.position(); i++) {
      hash = mix(hash ^ (bytes.get(i) & 0xFF));
    }
    return hash == 0 ? 1 : hash;
  }

  private static long mix(long value) {
    long z = value + 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /** A state from which nothing that is no fault leads to one where all is mended. */
  private Optional<Violation> stuck() {
    int[] first = new int[count + 1];
    for (int i = 1; i < edgeCount; i += 2) {
      first[edges[i] + 1]++;
    }
    for (int i = 0; i < count; i++) {
      first[i + 1] += first[i];
    }
    int[] sources = new int[edgeCount / 2];
    int[] next = first.clone();
    for (int i = 0; i < edgeCount; i += 2) {
      sources[next[edges[i + 1]]++] = edges[i];
    }
    var well = new boolean[count];
    var open = new ArrayDeque<Integer>();
    for (int each : settled) {
      well[each] = true;
      open.add(each);
    }
    while (!open.isEmpty()) {
      int each = open.poll();
      for (int i = first[each]; i < first[each + 1]; i++) {
        if (!well[sources[i]]) {
          well[sources[i]] = true;
          open.add(sources[i]);
        }
      }
    }
    for (int i = 0; i < count; i++) {
      if (!well[i]) {
        return Optional.of(
            violation("from here nothing leads to where all is mended, without another fault", i));
      }
    }
    return Optional.empty();
  }

  /** Walks the way to a state again, for the names of its steps. */
  private Violation violation(String what, int number) {
    var places = new ArrayDeque<Integer>();
    for (int at = number; parents[at] != NOWHERE; at = parents[at]) {
      places.push((int) ordinals[at]);
    }
    S state = scope.start();
    var path = new ArrayList<String>();
    for (int place : places) {
      var found = new Chosen<S>(place);
      scope.steps(state, found);
      path.add(found.name);
      state = found.next.orElseThrow();
    }
    return new Violation(what, path, scope.describe(state));
  }

  private static final class Chosen<S> implements Scope.Steps<S> {
    private final int place;
    private int seen;
    private String name = "";
    private Optional<S> next = Optional.empty();

    Chosen(int place) {
      this.place = place;
    }

    @Override
    public void step(String step, S state) {
      if (seen++ == place) {
        name = step;
        next = Optional.of(state);
      }
    }

    @Override
    public void fault(String step, S state) {
      step("! " + step, state);
    }
  }
}
