package io.forebay.core.net;

/** A receiver's answer to the head of a chunk. */
public sealed interface Admission {
  /**
   * The chunk is not taken here, and not passed on: the hops behind this one count as UNREACHED.
   */
  record Refuse(HopAck ack) implements Admission {}

  /** The chunk is taken: slices go to the sink and to the hops behind. */
  record Accept(LocalSink sink) implements Admission {}
}
