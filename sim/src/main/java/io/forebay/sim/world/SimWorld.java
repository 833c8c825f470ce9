package io.forebay.sim.world;

import io.forebay.core.env.Env;
import io.forebay.sim.preempt.LockRewriter;
import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * One simulated world: a clock, a seed and an event queue that run any number of nodes in one
 * platform thread. A virtual thread that is ready runs until it parks; among those that are ready
 * the seed chooses; when none is, time jumps to the next timer. The same seed gives the same run.
 *
 * <p>Everything happens inside {@link #run}, on the thread that calls it.
 */
public final class SimWorld {
  private static final class Event {
    final long atNanos;
    final long order;
    @Nullable Runnable action; // null: cancelled, and what it held is free

    Event(long atNanos, long order, Runnable action) {
      this.atNanos = atNanos;
      this.order = order;
      this.action = action;
    }
  }

  // By the seed: never, seldom, often.
  private static final long WALL_ORIGIN_MILLIS = 1_800_000_000_000L;
  private static final int[] PREEMPT_ONE_OF = {0, 400, 100, 25};
  private static final long PREEMPT_NANOS = 3_000_000;

  private final long seed;
  private final SplittableRandom schedule;
  private final SplittableRandom processes;
  private final SimThreads threads;
  private final List<Runnable> ready = new ArrayList<>();
  private final PriorityQueue<Event> timers =
      new PriorityQueue<>((a, b) ->
          a.atNanos != b.atNanos
              ? Long.compare(a.atNanos, b.atNanos)
              : Long.compare(a.order, b.order));
  private final EventLog log = new EventLog();
  private final SplittableRandom preemptions;
  private final int preemptOneOf; // 0: never
  private @Nullable Consumer<Runnable> yields; // who takes the thread that is just giving way
  private long nowNanos = 1;
  private long orders;
  private long steps;
  private boolean stopped;
  private @Nullable Throwable fatal;

  public SimWorld(long seed) {
    this.seed = seed;
    this.schedule = new SplittableRandom(seed);
    this.processes = new SplittableRandom(~seed);
    this.threads = new SimThreads(this::makeReady);
    this.preemptions = new SplittableRandom(seed * 31 + 17);
    this.preemptOneOf = PREEMPT_ONE_OF[preemptions.nextInt(PREEMPT_ONE_OF.length)];
    LockRewriter.install();
  }

  /** What chose this run. */
  public long seed() {
    return seed;
  }

  /** Simulated monotonic time. */
  public long nanoTime() {
    return nowNanos;
  }

  /** Simulated time of the day, which all processes' clocks show. */
  public long wallMillis() {
    return WALL_ORIGIN_MILLIS + nanoTime() / 1_000_000;
  }

  /** Steps taken so far: pieces of threads and timer callbacks. */
  public long steps() {
    return steps;
  }

  /** What happened, for digests and for people. */
  public EventLog log() {
    return log;
  }

  /**
   * The environment of one process of this world. Its randomness is a stream of its own, also when
   * a process of that name ran before: what it draws as an identity must be new.
   */
  public SimEnv env(String process) {
    return new SimEnv(this, process, processes.split());
  }

  /** Calls back at a simulated time. */
  public Env.Timer at(long atNanos, Runnable action) {
    var event = new Event(Math.max(atNanos, nowNanos), orders++, action);
    timers.add(event);
    return () -> event.action = null;
  }

  /** A random stream for faults, independent of the schedule's. */
  public RandomGenerator stream(String name) {
    return new SplittableRandom(seed * 31 + name.hashCode());
  }

  /**
   * Runs until nothing is left to do, or the simulated time is over.
   *
   * @return whether everything came to rest before the time was over
   * @throws IllegalStateException with the seed, when a thread ended with an exception
   */
  public boolean run(long untilNanos) {
    while (!stopped) {
      if (fatal != null) {
        throw new IllegalStateException(
            "seed " + seed + ", step " + steps + ", " + nowNanos + " ns: " + fatal, fatal);
      }
      if (!ready.isEmpty()) {
        // The last element takes the chosen one's place: constant time, and as good an order as
        // any.
        int chosen = ready.size() == 1 ? 0 : schedule.nextInt(ready.size());
        Runnable next = ready.get(chosen);
        Runnable last = ready.removeLast();
        if (chosen < ready.size()) {
          ready.set(chosen, last);
        }
        steps++;
        next.run();
        continue;
      }
      Event event = timers.poll();
      if (event == null) {
        return true;
      }
      Runnable action = event.action;
      if (action == null) {
        continue;
      }
      if (event.atNanos > untilNanos) {
        timers.add(event);
        nowNanos = untilNanos;
        return false;
      }
      nowNanos = event.atNanos;
      steps++;
      action.run();
    }
    return true;
  }

  /** Ends {@link #run}: what is left to do is left. */
  public void stop() {
    stopped = true;
  }

  Thread spawn(String name, Runnable task) {
    Thread thread =
        threads.unstarted(
            name,
            () -> {
              try {
                task.run();
              } catch (Throwable failure) {
                die(failure);
              }
            });
    thread.start();
    return thread;
  }

  /** A bug of ours ends the run; the next step reports it. */
  public void die(Throwable failure) {
    if (fatal == null) {
      fatal = failure;
    }
  }

  /**
   * Lets others come between, perhaps: those that are ready, or for a while everybody. Called by a
   * simulated thread that holds no lock.
   *
   * @param later runs something after a while, or never: the thread then stays where it is
   */
  @SuppressWarnings("ThreadPriorityCheck") // The scheduler is ours.
  void preempt(BiConsumer<Long, Runnable> later) {
    if (preemptOneOf == 0 || preemptions.nextInt(preemptOneOf) != 0) {
      return;
    }
    long nanos = preemptions.nextBoolean() ? 0 : preemptions.nextLong(PREEMPT_NANOS);
    yields = nanos == 0 ? null : task -> later.accept(nanos, task);
    Thread.yield();
    yields = null; // Where it could not give way.
  }

  void makeReady(Runnable task) {
    Consumer<Runnable> taker = yields;
    yields = null;
    if (taker == null) {
      ready.add(task);
    } else {
      taker.accept(task);
    }
  }
}
