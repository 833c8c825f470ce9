package io.forebay.core.env;

import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A first-in first-out queue with a bound, between threads of one {@link Env}.
 *
 * @param <T> the elements' type
 */
public final class BoundedQueue<T> {
  private final int capacity;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<T> elements = new ArrayDeque<>(); // guarded by lock
  private final Waiters changed;

  /**
   * @param capacity how many elements may wait, at least 1
   */
  public BoundedQueue(Env env, int capacity) {
    if (capacity < 1) {
      throw new IllegalArgumentException("capacity must be at least 1: " + capacity);
    }
    this.capacity = capacity;
    this.changed = new Waiters(env, lock);
  }

  /** Adds without waiting; false when the queue is full. */
  public boolean offer(T element) {
    lock.lock();
    try {
      if (elements.size() >= capacity) {
        return false;
      }
      elements.add(element);
      changed.wakeAll();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Adds, waiting for room until the monotonic deadline; false when it passed first. */
  public boolean put(T element, long deadlineNanos) {
    lock.lock();
    try {
      if (!changed.await(() -> elements.size() < capacity, deadlineNanos)) {
        return false;
      }
      elements.add(element);
      changed.wakeAll();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Takes the oldest element, waiting without a bound. */
  public T take() {
    lock.lock();
    try {
      changed.await(() -> !elements.isEmpty(), null);
      T element = elements.remove();
      changed.wakeAll();
      return element;
    } finally {
      lock.unlock();
    }
  }

  /** Takes the oldest element, waiting until the monotonic deadline; empty when it passed first. */
  public Optional<T> take(long deadlineNanos) {
    lock.lock();
    try {
      if (!changed.await(() -> !elements.isEmpty(), deadlineNanos)) {
        return Optional.empty();
      }
      T element = elements.remove();
      changed.wakeAll();
      return Optional.of(element);
    } finally {
      lock.unlock();
    }
  }

  /** Takes the oldest element if there is one. */
  public Optional<T> poll() {
    lock.lock();
    try {
      Optional<T> element = Optional.ofNullable(elements.poll());
      if (element.isPresent()) {
        changed.wakeAll();
      }
      return element;
    } finally {
      lock.unlock();
    }
  }

  /** How many elements wait now. */
  public int size() {
    lock.lock();
    try {
      return elements.size();
    } finally {
      lock.unlock();
    }
  }
}
