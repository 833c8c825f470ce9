package io.forebay.node.flush;

import io.forebay.core.env.Env;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.random.RandomGenerator;

/**
 * An {@link Env} whose threads go one step when they are told to: from one {@link #pause} to the
 * next, one thread at a time, so that a test decides every interleaving. Time moves when it is
 * moved. A request's or part's own thread runs within that of its attempt.
 */
final class Steps implements Env {
  /** The process of a thread died. */
  static final class Crash extends Error {
    private static final long serialVersionUID = 1L;

    Crash() {
      super("the process died here", null, false, false);
    }
  }

  /** A thread that waits to be told to go on. */
  final class Actor {
    private final Semaphore go = new Semaphore(0);
    private final Semaphore stopped = new Semaphore(0);
    private final String name;
    private String at = "begin";
    private long sinceMillis = wallMillis();
    private boolean ended;
    private boolean dies;
    private Optional<Throwable> escaped = Optional.empty();

    private Actor(String name) {
      this.name = name;
    }

    /** Where it waits, as {@link Steps#pause} was told. */
    String at() {
      return at;
    }

    /** Since when, in wall time. */
    long sinceMillis() {
      return sinceMillis;
    }

    boolean ended() {
      return ended;
    }

    /** Goes on to the next pause, or to the end. */
    void step() {
      if (ended) {
        throw new IllegalStateException(name + " has ended");
      }
      current = Optional.of(this);
      go.release();
      stopped.acquireUninterruptibly();
      current = Optional.empty();
      if (ended) {
        actors.remove(this);
        if (escaped.isPresent()) {
          throw new AssertionError("an exception escaped " + name, escaped.get());
        }
      }
    }

    /** Goes on until it waits at a place that begins so. */
    void stepTo(String place) {
      do {
        if (ended) {
          throw new AssertionError(name + " ended before it came to " + place);
        }
        step();
      } while (!at.startsWith(place));
    }

    /** Goes on to the end. */
    void finish() {
      while (!ended) {
        step();
      }
    }

    /** Never goes on: its process is dead. */
    void crash() {
      dies = true;
      step();
    }

    @Override
    public String toString() {
      return name + " at " + at;
    }
  }

  private final Random random;
  private final List<Actor> actors = new ArrayList<>();
  private volatile Optional<Actor> current = Optional.empty(); // whoever goes on now
  private long nanos;
  private Runnable onSleep = () -> {};

  Steps(long seed) {
    random = new Random(seed);
  }

  /** Those that have not ended, oldest first. */
  List<Actor> actors() {
    return List.copyOf(actors);
  }

  /** Moves time; whoever may wait no longer is to be stepped by the caller before. */
  void advance(long millis) {
    nanos += millis * 1_000_000L;
  }

  /** A place where a thread may be stopped, overtaken or killed. */
  void pause(String where) {
    if (current.isEmpty()) {
      return; // the test itself
    }
    Actor actor = current.get();
    actor.at = where;
    actor.sinceMillis = wallMillis();
    actor.stopped.release();
    actor.go.acquireUninterruptibly();
    if (actor.dies) {
      throw new Crash();
    }
  }

  @Override
  public long nanoTime() {
    return nanos;
  }

  @Override
  public long wallMillis() {
    return 1_000_000_000L + nanos / 1_000_000L;
  }

  @Override
  public RandomGenerator random() {
    return random;
  }

  @Override
  public Thread spawn(String name, Runnable task) {
    if (current.isPresent()) {
      task.run();
      return Thread.currentThread();
    }
    var actor = new Actor(name);
    actors.add(actor);
    return Thread.ofVirtual()
        .name(name)
        .start(() -> {
          actor.go.acquireUninterruptibly();
          try {
            if (!actor.dies) {
              task.run();
            }
          } catch (Crash dead) {
            actor.at = "dead";
          } catch (Throwable thrown) {
            actor.escaped = Optional.of(thrown);
          }
          actor.ended = true;
          actor.stopped.release();
        });
  }

  @Override
  public Timer schedule(long delayNanos, Runnable callback) {
    throw new IllegalStateException("nothing here waits for time");
  }

  @Override
  public void sleep(long sleepNanos) {
    nanos += sleepNanos;
    Runnable now = onSleep;
    onSleep = () -> {};
    now.run();
  }

  /** Something that happens while somebody sleeps for the next time. */
  void onSleep(Runnable action) {
    onSleep = action;
  }
}
