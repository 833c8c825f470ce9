package io.forebay.node.flush;

import io.forebay.core.env.Env;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How fast this node asks one store. Additive increase, multiplicative decrease: each success adds
 * a fraction of a key at once, being throttled halves them, and a store that throttles or fails is
 * left alone for a while that doubles, with jitter, after which one key tries it.
 *
 * <p>Retries live on a budget: one costs a token, which its success returns, and ten first attempts
 * earn one. So a store in trouble gets at most 10 % more requests than it would have had, and a
 * floor of one retry every few seconds, however many keys wait.
 */
final class StorePace {
  /** What became of an entry. */
  enum Answer {
    /** The store did what it was asked. */
    TOOK,
    /** It asked for fewer requests. */
    THROTTLED,
    /** It was not reached, refused everything, or is not there. */
    FAILED,
    /** It was not asked, or what failed had nothing to do with it. */
    UNASKED
  }

  private static final long FIRST_PAUSE_NANOS = 500_000_000L;
  private static final long MAX_PAUSE_NANOS = 15_000_000_000L;
  private static final int MAX_DOUBLINGS = 5;
  private static final double EARNED = 0.1;
  private static final double MAX_TOKENS = 10;
  private static final double TOKENS_PER_SECOND = 0.5;

  private final Env env;
  private final int most;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private double limit;
  private int inside;
  private int failures;
  private long pausedUntilNanos;
  private double tokens = MAX_TOKENS;
  private long earnedAtNanos;
  private long heldBack;

  /**
   * @param most keys at once
   */
  StorePace(Env env, int most) {
    this.env = env;
    this.most = most;
    this.limit = most;
    this.pausedUntilNanos = env.nanoTime();
    this.earnedAtNanos = pausedUntilNanos;
  }

  /** Whether one more key may be taken up; whoever enters must leave. */
  boolean enter(boolean retry) {
    lock.lock();
    try {
      long now = env.nanoTime();
      tokens = Math.min(MAX_TOKENS, tokens + (now - earnedAtNanos) / 1e9 * TOKENS_PER_SECOND);
      earnedAtNanos = now;
      if (full()) {
        return false;
      }
      if (retry) {
        if (tokens < 1) {
          heldBack++;
          return false;
        }
        tokens--;
      } else {
        tokens = Math.min(MAX_TOKENS, tokens + EARNED);
      }
      inside++;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Ends an entry. */
  void leave(boolean retry, Answer answer) {
    lock.lock();
    try {
      inside--;
      switch (answer) {
        case TOOK -> {
          failures = 0;
          limit = Math.min(most, limit + 1 / limit);
          if (retry) {
            tokens = Math.min(MAX_TOKENS, tokens + 1);
          }
        }
        case THROTTLED -> {
          limit = Math.max(1, limit / 2);
          pause();
        }
        case FAILED -> {
          limit = 1;
          pause();
        }
        case UNASKED -> {
          if (retry) {
            tokens = Math.min(MAX_TOKENS, tokens + 1);
          }
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private void pause() {
    long now = env.nanoTime();
    if (now - pausedUntilNanos < 0) {
      return; // those that were inside already tell nothing new
    }
    long pause = Math.min(MAX_PAUSE_NANOS, FIRST_PAUSE_NANOS << Math.min(failures, MAX_DOUBLINGS));
    failures++;
    pausedUntilNanos = now + pause / 2 + env.random().nextLong(pause / 2 + 1);
  }

  /** Whether the store is left alone at the moment. */
  boolean paused() {
    lock.lock();
    try {
      return env.nanoTime() - pausedUntilNanos < 0;
    } finally {
      lock.unlock();
    }
  }

  /** Whether no key can be taken up at the moment, paused or not. */
  boolean full() {
    lock.lock();
    try {
      return env.nanoTime() - pausedUntilNanos < 0 || inside >= Math.max(1, (int) limit);
    } finally {
      lock.unlock();
    }
  }

  /** How often a retry had to wait for the budget. */
  long heldBack() {
    lock.lock();
    try {
      return heldBack;
    } finally {
      lock.unlock();
    }
  }

  /** How many keys may be in work at once, from 1. */
  int limit() {
    lock.lock();
    try {
      return Math.max(1, (int) limit);
    } finally {
      lock.unlock();
    }
  }
}
