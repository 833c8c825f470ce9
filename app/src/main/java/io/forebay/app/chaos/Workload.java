package io.forebay.app.chaos;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What two clients do with the keys of a seed: the steady one writes through the node that is
 * spared, and does not go on before it is acknowledged; the wanderer reads and writes a little
 * through any node, dead ones too.
 */
final class Workload {
  private static final int LEAST_OBJECTS = 4;
  private static final int MOST_OBJECTS = 24;
  private static final int FEW_BYTES = 100_000;
  private static final int WANDERER_BYTES = 60_000;
  private static final long ATTEMPTS_NANOS = TimeUnit.SECONDS.toNanos(120);
  private static final long PAUSE_MILLIS = 50;

  private final long seed;
  private final int spared;
  private final int mostBytes;
  private final Machines machines;
  private final History history;
  private final Stalls stalls;
  private final Story story;
  // Never 0, which is absence; no two writes of a run have the same.
  private final AtomicLong tags;
  private final AtomicLong writtenBytes = new AtomicLong();
  private volatile int objects;
  private volatile boolean ended;

  /**
   * Of one seed.
   *
   * @param mostBytes of an object
   */
  Workload(
      long seed,
      int spared,
      int mostBytes,
      Machines machines,
      History history,
      Stalls stalls,
      Story story,
      AtomicLong tags) {
    this.seed = seed;
    this.spared = spared;
    this.mostBytes = mostBytes;
    this.machines = machines;
    this.history = history;
    this.stalls = stalls;
    this.story = story;
    this.tags = tags;
  }

  /** No further operation is begun, but for what the steady client owes. */
  void end() {
    ended = true;
  }

  /** What the steady client has written, acknowledged. */
  long writtenBytes() {
    return writtenBytes.get();
  }

  private String key(int object) {
    return "seed-%d/part-%d".formatted(seed, object);
  }

  /**
   * The steady client, until the end.
   *
   * @throws Violation a write was not acknowledged, however often it was tried again
   */
  void steady(Door door, SplittableRandom random) throws InterruptedException {
    int count = 0;
    while (count < LEAST_OBJECTS || !ended) {
      boolean again = count == MOST_OBJECTS || (count > 0 && random.nextInt(4) == 0);
      int length =
          random.nextInt(5) == 0
              ? random.nextInt(Tagged.LEAST_BYTES, 2_000)
              : FEW_BYTES + (int) ((mostBytes - FEW_BYTES) * Math.pow(random.nextDouble(), 3));
      write(door, key(again ? random.nextInt(count) : count), length);
      writtenBytes.addAndGet(length);
      count += again ? 0 : 1;
      objects = count;
    }
  }

  private void write(Door door, String key, int length) throws InterruptedException {
    long[] last = {stalls.start()};
    long deadline = last[0] + ATTEMPTS_NANOS;
    long[] furthest = {0};
    try {
      while (true) {
        long tag = tags.incrementAndGet();
        long begun = System.nanoTime();
        long[] sent = {0};
        try {
          story.tell("write %s, %d bytes, value %d", key, length, tag);
          boolean repeated =
              door.put(
                  spared,
                  key,
                  tag,
                  length,
                  bytes -> {
                    sent[0] += bytes;
                    // What is only sent once more is no step.
                    if (sent[0] > furthest[0]) {
                      furthest[0] = sent[0];
                      last[0] = stalls.step(last[0], "a write to " + key);
                    }
                  });
          long now = stalls.step(last[0], "the publish of " + key);
          stalls.moved(length, now - begun);
          history.wrote(key, tag, machines.name(spared) + ", steadily,", begun, now, repeated);
          if (now - deadline >= 0) {
            throw new Violation(key + " was written, but not in 120 s");
          }
          return;
        } catch (ForebayException failure) {
          history.mayHaveWritten(
              key, tag, machines.name(spared) + ", steadily,", begun, door.sendsAgain());
          told("%s, value %d".formatted(key, tag), failure);
          if (System.nanoTime() - deadline >= 0) {
            throw new Violation(key + " could not be written in 120 s: " + failure, failure);
          }
        }
        Thread.sleep(PAUSE_MILLIS);
      }
    } finally {
      stalls.rest();
    }
  }

  /** The wanderer, until the end. */
  void wander(Door door, SplittableRandom random) throws InterruptedException {
    int node = spared;
    while (!ended) {
      Thread.sleep(PAUSE_MILLIS);
      int known = objects;
      if (known == 0) {
        continue;
      }
      // Not at each step, for a new connection costs more than a step.
      node = random.nextInt(4) == 0 ? random.nextInt(machines.count()) : node;
      String who = machines.name(node);
      String key = key(random.nextInt(known));
      long begun = System.nanoTime();
      if (random.nextInt(3) == 0) {
        long tag = tags.incrementAndGet();
        int length = random.nextInt(Tagged.LEAST_BYTES, WANDERER_BYTES);
        try {
          boolean repeated = door.put(node, key, tag, length, bytes -> {});
          history.wrote(key, tag, who, begun, System.nanoTime(), repeated);
        } catch (ForebayException failure) {
          history.mayHaveWritten(key, tag, who, begun, door.sendsAgain());
          told("%s, value %d, through %s".formatted(key, tag, who), failure);
        }
      } else {
        try {
          long tag = door.get(node, key);
          history.read(key, tag, who, begun, System.nanoTime());
        } catch (ForebayException failure) {
          history.failedRead();
          told("%s, read through %s".formatted(key, who), failure);
        }
      }
    }
  }

  /** What was refused may be tried again, whatever the reason; but none may be a bug's. */
  private void told(String what, ForebayException failure) {
    story.tell("%s: %s", what, failure);
    if (failure.code() == ErrorCode.INTERNAL) {
      throw new Violation(what + ": " + failure, failure);
    }
  }
}
