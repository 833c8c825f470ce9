package io.forebay.sim.check;

import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * A small closed world: all that can happen in it, and what must never be. Everything follows from
 * the state, so that a path can be walked again by the numbers of its steps.
 *
 * @param <S> a state; never changed once it was handed over
 */
public interface Scope<S> {
  /** Where it begins. */
  S start();

  /** Everything that may happen next, always in the same order. */
  void steps(S state, Steps<S> out);

  /** Writes what tells the state from others: equal bytes, equal futures. */
  void encode(S state, ByteBuffer out);

  /** What is broken in this state, in words; empty when all is well. */
  Optional<String> broken(S state);

  /**
   * Whether all is mended and done. From every state one like this must be reachable without
   * another fault.
   */
  boolean settled(S state);

  /** For people. */
  String describe(S state);

  /** Takes what may happen. */
  interface Steps<S> {
    /** Something that the system does. */
    void step(String name, S next);

    /** Something that is done to it. */
    void fault(String name, S next);
  }
}
