package io.forebay.core.namespace;

import io.forebay.core.namespace.FlushRecord.Attempt;
import io.forebay.core.namespace.FlushRecord.Target;
import io.forebay.core.rule.Rule;
import java.util.Optional;

/**
 * What a HEAD says about a store key (rule F3). Pure; the flusher, the state machine and the
 * checker share it.
 */
public sealed interface FlushDecision {
  /** The store holds what it is to hold: record it. */
  record Done(StoreSight seen) implements FlushDecision {}

  /** Send the next attempt under this condition. */
  record Retry(StoreSight condition) implements FlushDecision {}

  /** Someone else was there: ours stays visible and owed until {@code keep} or {@code take}. */
  record Foreign(StoreSight seen, long lengthBytes, String reason) implements FlushDecision {}

  /**
   * Decides. The order matters: a stamp goes before the ETag, since ETags can recur.
   *
   * @param observed by a HEAD that began when the record had its present version
   */
  static FlushDecision decide(FlushRecord record, StoreHead observed) {
    return switch (observed) {
      case StoreHead.Found found -> found(record, found);
      case StoreHead.Missing missing -> missing(record);
    };
  }

  private static FlushDecision found(FlushRecord record, StoreHead.Found found) {
    StoreSight sight = found.sight();
    Optional<Attempt> ours = found.stamp().flatMap(stamp -> unresolved(record, stamp));
    if (ours.isPresent() && Rule.F3.holds()) {
      boolean wanted = record.generation().filter(ours.get().generation()::equals).isPresent();
      return wanted ? new Done(sight) : new Retry(sight);
    }
    if (sight.equals(record.seen())) {
      return record.target() instanceof Target.Flushed ? new Done(sight) : new Retry(sight);
    }
    return new Foreign(
        sight,
        found.lengthBytes(),
        found.stamp().isPresent()
            ? "a copy of one of our objects was put there"
            : "the store object was written by someone else");
  }

  private static FlushDecision missing(FlushRecord record) {
    var absent = new StoreSight.Absent();
    if (record.target() instanceof Target.Delete || record.target() instanceof Target.Gone) {
      return new Done(absent);
    }
    boolean deletedByUs =
        record.unresolved().stream().anyMatch(attempt -> attempt.kind() == FlushKind.DELETE);
    if (record.seen().equals(absent) || deletedByUs) {
      return new Retry(absent);
    }
    return new Foreign(absent, 0, "the store object was deleted by someone else");
  }

  private static Optional<Attempt> unresolved(FlushRecord record, StoreHead.Stamp stamp) {
    return record.unresolved().stream()
        .filter(attempt ->
            attempt.kind() != FlushKind.DELETE
                && attempt.number() == stamp.attempt()
                && attempt.generation().equals(stamp.generation()))
        .findFirst();
  }
}
