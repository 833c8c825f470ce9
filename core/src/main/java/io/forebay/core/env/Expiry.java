package io.forebay.core.env;

import java.util.concurrent.locks.LockSupport;

/** A timer callback that marks a wait as expired and wakes the waiting thread. */
final class Expiry implements Runnable {
  private final Thread waiter;
  volatile boolean passed;

  Expiry(Thread waiter) {
    this.waiter = waiter;
  }

  @Override
  public void run() {
    passed = true;
    LockSupport.unpark(waiter);
  }
}
