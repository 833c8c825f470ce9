package io.forebay.store.disk;

import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/**
 * Syncs a file for several writers at once: those that ask while a sync is under way share the next
 * one. A sync that has begun does not count for who asks later, for it may have passed his bytes.
 */
final class GroupCommit {
  private final Env env;
  private final Executor threads;
  private final FileChannel channel;
  private final Function<IOException, ForebayException> fault;
  private final ReentrantLock lock = new ReentrantLock();
  private final List<Outcome<Boolean>> waiting = new ArrayList<>(); // guarded by lock
  private boolean running; // guarded by lock

  /**
   * @param threads where syncs run, one at a time
   * @param fault what a failed sync is called
   */
  GroupCommit(
      Env env,
      Executor threads,
      FileChannel channel,
      Function<IOException, ForebayException> fault) {
    this.env = env;
    this.threads = threads;
    this.channel = channel;
    this.fault = fault;
  }

  /** Complete once everything that was written before this call is on the disk. */
  Outcome<Boolean> sync() {
    var synced = new Outcome<Boolean>(env);
    lock.lock();
    try {
      waiting.add(synced);
      if (running) {
        return synced;
      }
      running = true;
    } finally {
      lock.unlock();
    }
    try {
      threads.execute(this::run);
    } catch (RejectedExecutionException stopped) {
      List<Outcome<Boolean>> all = takeAll();
      takeAll(); // whoever asks from now on finds out for himself
      fail(all, new ForebayException(ErrorCode.UNAVAILABLE, "the volume is closed"));
    }
    return synced;
  }

  /** How many wait for the next sync. */
  int waiting() {
    lock.lock();
    try {
      return waiting.size();
    } finally {
      lock.unlock();
    }
  }

  private List<Outcome<Boolean>> takeAll() {
    lock.lock();
    try {
      List<Outcome<Boolean>> all = List.copyOf(waiting);
      waiting.clear();
      running = !all.isEmpty();
      return all;
    } finally {
      lock.unlock();
    }
  }

  private void run() {
    for (List<Outcome<Boolean>> all = takeAll(); !all.isEmpty(); all = takeAll()) {
      try {
        channel.force(false);
        all.forEach(outcome -> outcome.complete(true));
      } catch (IOException failure) {
        fail(all, fault.apply(failure));
      } catch (RuntimeException failure) {
        fail(all, failure);
      }
    }
  }

  private static void fail(List<Outcome<Boolean>> all, Throwable failure) {
    all.forEach(outcome -> outcome.fail(failure));
  }
}
