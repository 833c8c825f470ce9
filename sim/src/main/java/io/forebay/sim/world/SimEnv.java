package io.forebay.sim.world;

import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.sim.preempt.Preemption;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;

/**
 * The {@link Env} of one simulated process. When the process is killed its timers never fire, its
 * threads never run again; when it is paused both wait until it is resumed.
 */
public final class SimEnv implements Env {
  private final SimWorld world;
  private final String process;
  private final RandomGenerator random;
  private final Map<Long, Thread> threads = new LinkedHashMap<>();
  private final List<Runnable> held = new ArrayList<>();
  private final List<Runnable> stopped =
      new ArrayList<>(); // threads that stand until it is resumed
  private boolean killed;
  private boolean paused;
  private long nextThread;
  private long standsSinceNanos = -1; // not: -1
  private long stoodNanos;
  private double rate = 1;

  SimEnv(SimWorld world, String process, RandomGenerator random) {
    this.world = world;
    this.process = process;
    this.random = random;
  }

  /** The process's name. */
  public String process() {
    return process;
  }

  /** Makes the monotonic clock fast (above 1) or slow, before anything has looked at it. */
  public void clockRate(double times) {
    rate = times;
  }

  /** Whether the process was stopped and has not been resumed. */
  public boolean paused() {
    return paused;
  }

  /** Whether the process was killed. */
  public boolean killed() {
    return killed;
  }

  @Override
  public long nanoTime() {
    Preemption.point();
    long nanos = (standsSinceNanos < 0 ? world.nanoTime() : standsSinceNanos) - stoodNanos;
    return rate == 1 ? nanos : (long) (nanos * rate);
  }

  @Override
  public long wallMillis() {
    Preemption.point();
    return world.wallMillis();
  }

  @Override
  public RandomGenerator random() {
    return random;
  }

  @Override
  public Thread spawn(String name, Runnable task) {
    Preemption.point();
    checkAlive();
    long number = nextThread++;
    Thread thread =
        world.spawn(
            process + "/" + name,
            () -> {
              Preemption.enter(this::preempt);
              try {
                checkAlive();
                task.run();
              } catch (ProcessKilled end) {
                // The thread's stack unwinds; nothing of the process is seen by anyone any more.
              } catch (RuntimeException failure) {
                // A dead process's threads are interrupted; what they throw on the way out is its
                // own affair.
                if (!killed) {
                  throw failure;
                }
              } finally {
                threads.remove(number);
              }
            });
    threads.put(number, thread);
    return thread;
  }

  @Override
  public Timer schedule(long delayNanos, Runnable callback) {
    Preemption.point();
    checkAlive();
    long delay = rate == 1 ? delayNanos : (long) Math.ceil(delayNanos / rate);
    return world.at(world.nanoTime() + delay, () -> deliver(callback));
  }

  @Override
  public void sleep(long nanos) {
    checkAlive();
    new Outcome<Boolean>(this).awaitUntil(nanoTime() + nanos);
    checkAlive();
  }

  /**
   * Runs something in this process, now or when it is resumed; drops it when the process is dead.
   */
  public void deliver(Runnable action) {
    if (killed) {
      return;
    }
    if (paused) {
      held.add(action);
      return;
    }
    action.run();
  }

  /** Others may come between here. Threads of a dead process unwind in one go. */
  private void preempt() {
    if (killed) {
      return;
    }
    world.preempt((nanos, thread) ->
        world.at(
            world.nanoTime() + nanos,
            () -> {
              if (paused) {
                stopped.add(thread);
              } else {
                world.makeReady(thread);
              }
            }));
    checkAlive();
  }

  private void goOn() {
    List<Runnable> all = List.copyOf(stopped);
    stopped.clear();
    all.forEach(world::makeReady);
  }

  /**
   * Ends the process as kill -9 does: what it has in memory is gone, nothing of it acts on the
   * world again. Its threads are interrupted so that their stacks unwind; every port of a dead
   * process refuses.
   */
  public void kill() {
    killed = true;
    paused = false;
    held.clear();
    goOn();
    for (Iterator<Thread> each = List.copyOf(threads.values()).iterator(); each.hasNext(); ) {
      each.next().interrupt();
    }
  }

  /** Stops the process as SIGSTOP does. Threads that run on are stopped at their next wait. */
  public void pause() {
    paused = true;
  }

  /**
   * Stops the machine, as a suspended virtual one: its monotonic clock stands still, its wall clock
   * is right again when it goes on.
   */
  public void suspend() {
    standsSinceNanos = world.nanoTime();
    pause();
  }

  /** Lets the process go on. */
  public void resume() {
    if (standsSinceNanos >= 0) {
      stoodNanos += world.nanoTime() - standsSinceNanos;
      standsSinceNanos = -1;
    }
    paused = false;
    goOn();
    List<Runnable> waiting = List.copyOf(held);
    held.clear();
    waiting.forEach(this::deliver);
  }

  /** Ends the calling thread when its process is dead: called by every simulated port. */
  public void checkAlive() {
    if (killed) {
      throw new ProcessKilled();
    }
  }

  /** Unwinds the threads of a killed process. An Error, so that nobody handles it as a failure. */
  public static final class ProcessKilled extends Error {
    private static final long serialVersionUID = 1L;

    ProcessKilled() {
      super("process killed", null, false, false);
    }
  }
}
