package io.forebay.app.fuzz;

import java.util.List;

/**
 * What is said on one connection to the S3 door, and what must become of it.
 *
 * @param bytes sent one behind the other
 * @param answers how many requests there are that must be answered
 * @param key of the object that it would write; empty: none
 * @param body that the object must then have
 */
record DoorTalk(
    String name,
    List<byte[]> bytes,
    Ending ending,
    Expected expected,
    int answers,
    String key,
    byte[] body) {
  private static final byte[] NOTHING = {};

  /** What our side does when all is said. */
  enum Ending {
    /** It waits for the server, which ends the connection behind its answer. */
    WAIT,
    /** It says that no more comes; a server may then end without an answer. */
    END,
    /** It breaks off with a reset, whatever is under way. */
    RESET
  }

  /** What the server owes. */
  enum Expected {
    /** Any answer, or the end of the connection. */
    ANY,
    /** An answer to each request. */
    ANSWERS,
    /** A refusal, 4xx or 501, or the end of the connection; and nothing of the key is visible. */
    REFUSAL,
    /** Success; and the key has the body. */
    SUCCESS
  }

  static DoorTalk of(String name, Expected expected, byte[]... bytes) {
    return new DoorTalk(name, List.of(bytes), Ending.WAIT, expected, 1, "", NOTHING);
  }

  DoorTalk ending(Ending other) {
    return new DoorTalk(name, bytes, other, expected, answers, key, body);
  }

  DoorTalk writing(String target, byte[] content) {
    return new DoorTalk(name, bytes, ending, expected, answers, target, content);
  }

  DoorTalk answers(int count) {
    return new DoorTalk(name, bytes, ending, expected, count, key, body);
  }
}
