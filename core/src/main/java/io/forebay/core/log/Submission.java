package io.forebay.core.log;

import java.util.List;

/**
 * One command on its way to a log. (clientId, sequence) names it: sent twice it is applied once,
 * and the second time gets the first one's answer.
 *
 * @param clientId drawn at random by each run of a process
 * @param sequence from 1
 * @param answeredBelow the client has the answers of all sequences below: they may be forgotten
 */
record Submission(long clientId, long sequence, long answeredBelow, byte[] command) {
  /** What a client sends. */
  record Many(List<Submission> submissions) {
    Many {
      submissions = List.copyOf(submissions);
    }
  }

  /** What a leader logs. */
  record Entry(long wallMillis, List<Submission> submissions) {
    Entry {
      submissions = List.copyOf(submissions);
    }
  }

  /**
   * An entry as a leader that gives leases logs it.
   *
   * @param term the entry is applied only if the log holds it in this term; 0: in any. What a
   *     leader made sure of before it proposed holds for its own term only
   * @param leaseNanos leases of up to this length may be out from now on; 0 with a term: none
   */
  record InTerm(long wallMillis, List<Submission> submissions, long term, long leaseNanos) {
    InTerm {
      submissions = List.copyOf(submissions);
    }
  }

  /**
   * An entry that raises the level of the log; also how every entry is read, since the others lack
   * no more than the last fields.
   *
   * @param level of the log from now on, for this entry's submissions already; 0: as before
   */
  record Raise(
      long wallMillis, List<Submission> submissions, long term, long leaseNanos, int level) {
    Raise {
      submissions = List.copyOf(submissions);
    }
  }

  /** The answers, in the order of the submissions. */
  record Answers(List<byte[]> answers) {
    Answers {
      answers = List.copyOf(answers);
    }
  }
}
