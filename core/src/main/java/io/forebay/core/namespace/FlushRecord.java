package io.forebay.core.namespace;

import io.forebay.core.codec.Tag;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.Generation;
import io.forebay.core.id.NodeId;
import java.util.List;
import java.util.Optional;

/**
 * Everything known about one store key on its way. There is none for keys that the store neither
 * has nor is to get.
 *
 * @param version grows with every change of what is known about the store (F2, F4), and no other
 *     record of the key ever has it
 * @param dueMillis wall time from which the target may be flushed
 * @param sinceMillis wall time since which the target waits
 * @param seen what the store held when last known
 * @param headNeeded the last attempt was refused by the store: look before the next
 * @param unresolved attempts that may have landed or may still land, oldest first
 */
public record FlushRecord(
    long version,
    Target target,
    long dueMillis,
    long sinceMillis,
    StoreSight seen,
    boolean headNeeded,
    Optional<Attempt> open,
    List<Attempt> unresolved,
    Optional<Conflict> conflict,
    Optional<Failure> failure) {
  /** Most attempts of a key that may be unresolved; more wait until some are resolved. */
  public static final int MAX_UNRESOLVED = 16;

  public FlushRecord {
    unresolved = List.copyOf(unresolved);
  }

  /** What the store is to hold. */
  public sealed interface Target {
    /** It holds this generation, under the ETag in {@code seen}. */
    @Tag(1)
    record Flushed(Generation generation) implements Target {}

    /** It is to get this generation. */
    @Tag(2)
    record Put(Generation generation) implements Target {}

    /**
     * It is to hold nothing.
     *
     * @param generation number of the deletion, for the stamp's place in attempts
     */
    @Tag(3)
    record Delete(Generation generation) implements Target {}

    /** It holds nothing, as far as is known; the record stays for its unresolved attempts. */
    @Tag(4)
    record Gone() implements Target {}
  }

  /**
   * One send, or the right to it.
   *
   * @param number never used again, in the whole shard
   * @param leaseMillis wall time after which the node sends nothing more under this number
   * @param landsMillis wall time after which none of its requests can land any more
   * @param upload the store's name of what it stages, to be aborted before the next attempt (F5)
   */
  public record Attempt(
      long number,
      FlushKind kind,
      Generation generation,
      NodeId node,
      long startedMillis,
      long leaseMillis,
      long landsMillis,
      Optional<String> upload) {}

  /**
   * Someone else wrote (or deleted) the store object.
   *
   * @param lengthBytes of theirs; 0 when absent
   */
  public record Conflict(StoreSight seen, long lengthBytes, long sinceMillis, String reason) {}

  /** Why the last attempt failed. */
  public record Failure(ErrorCode code, String message, int count, long nextTryMillis) {}

  /** The generation that the store has or is to get. */
  public Optional<Generation> generation() {
    return switch (target) {
      case Target.Flushed flushed -> Optional.of(flushed.generation());
      case Target.Put put -> Optional.of(put.generation());
      case Target.Delete delete -> Optional.empty();
      case Target.Gone gone -> Optional.empty();
    };
  }

  /** Recorded, no attempt open, none unresolved, no conflict: only then is the generation clean. */
  public boolean settled() {
    return (target instanceof Target.Flushed || target instanceof Target.Gone)
        && open.isEmpty()
        && unresolved.isEmpty()
        && conflict.isEmpty();
  }
}
