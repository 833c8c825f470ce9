package io.forebay.core.lease;

import io.forebay.core.id.BucketId;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;

/**
 * The directories in which a command may change what {@link NamespaceQuery.Stat} answers: what is
 * published under a key, and how far its flush is. Where the bytes of other keys lie may change
 * beside that (F6); readers follow a generation, so that nothing is asked of leases there.
 *
 * @param directories single ones, sorted
 * @param prefixes every directory that may hold a key with one of them
 * @param everything whatever is leased
 */
public record Touched(List<Directory> directories, List<Prefix> prefixes, boolean everything) {
  private static final Touched NOTHING = new Touched(List.of(), List.of(), false);

  /** All keys of a bucket that begin so. */
  public record Prefix(BucketId bucket, String text) {
    boolean touches(Directory directory) {
      return directory.bucket().equals(bucket)
          && (directory.path().startsWith(text) || directory.equals(Directory.of(bucket, text)));
    }
  }

  public Touched {
    directories = List.copyOf(directories);
    prefixes = List.copyOf(prefixes);
  }

  /** What a command touches. */
  public static Touched by(NamespaceCommand command) {
    return switch (command) {
      case NamespaceCommand.Publish c -> one(c.bucket(), c.key());
      case NamespaceCommand.Delete c -> one(c.bucket(), c.key());
      case NamespaceCommand.DeleteMany c -> many(c.bucket(), c.keys());
      case NamespaceCommand.Rename c ->
          c.from().endsWith("/")
              ? new Touched(
                  List.of(),
                  List.of(new Prefix(c.bucket(), c.from()), new Prefix(c.bucket(), c.to())),
                  false)
              : many(c.bucket(), List.of(c.from(), c.to()));
      case NamespaceCommand.Copy c -> one(c.bucket(), c.key());
      case NamespaceCommand.ChangeHeaders c -> one(c.bucket(), c.key());
      case NamespaceCommand.CompleteUpload c -> one(c.bucket(), c.key());
      case NamespaceCommand.FlushBegin c -> one(c.bucket(), c.key());
      case NamespaceCommand.FlushEnd c -> one(c.bucket(), c.key());
      case NamespaceCommand.FlushUnresolved c -> one(c.bucket(), c.key());
      case NamespaceCommand.FlushResolve c -> one(c.bucket(), c.key());
      case NamespaceCommand.FlushFailed c -> one(c.bucket(), c.key());
      case NamespaceCommand.FlushConflict c -> one(c.bucket(), c.key());
      case NamespaceCommand.FlushTrouble c -> one(c.bucket(), c.key());
      case NamespaceCommand.ConflictKeep c -> one(c.bucket(), c.key());
      case NamespaceCommand.ConflictTake c -> one(c.bucket(), c.key());
      case NamespaceCommand.LetGo c ->
          c.path().endsWith("/")
              ? new Touched(List.of(), List.of(new Prefix(c.bucket(), c.path())), false)
              : one(c.bucket(), c.path());
      case NamespaceCommand.FlushHeld c -> many(c.bucket(), c.keys());
      case NamespaceCommand.FlushNow c ->
          new Touched(List.of(), List.of(new Prefix(c.bucket(), c.prefix())), false);
      case NamespaceCommand.SealBucket c ->
          new Touched(List.of(), List.of(new Prefix(c.bucket(), "")), false);
      case NamespaceCommand.FlushAbandon _ -> new Touched(List.of(), List.of(), true);
      case NamespaceCommand.OpenSession _,
          NamespaceCommand.CloseSession _,
          NamespaceCommand.SessionLowWater _,
          NamespaceCommand.SetQuota _,
          NamespaceCommand.SetPolicies _,
          NamespaceCommand.ReplacePolicies _,
          NamespaceCommand.CreateUpload _,
          NamespaceCommand.PutPart _,
          NamespaceCommand.PutPartCopy _,
          NamespaceCommand.AbortUpload _,
          NamespaceCommand.FlushExtend _,
          NamespaceCommand.FlushUpload _,
          NamespaceCommand.ExpireTick _ ->
          NOTHING;
    };
  }

  /** The directory that a query asks about; empty where no lease covers the answer. */
  public static Optional<Directory> askedBy(NamespaceQuery query) {
    return query instanceof NamespaceQuery.Stat(var bucket, var key)
        ? Optional.of(Directory.of(bucket, key))
        : Optional.empty();
  }

  private static Touched one(BucketId bucket, String key) {
    return new Touched(List.of(Directory.of(bucket, key)), List.of(), false);
  }

  private static Touched many(BucketId bucket, List<String> keys) {
    var directories = new TreeSet<Directory>();
    keys.forEach(key -> directories.add(Directory.of(bucket, key)));
    return new Touched(new ArrayList<>(directories), List.of(), false);
  }

  /** Whether no answer changes. */
  public boolean nothing() {
    return equals(NOTHING);
  }

  /** Whether more is touched than the single directories say. */
  boolean wide() {
    return everything || !prefixes.isEmpty();
  }

  /** Whether a directory is among them. */
  boolean touches(Directory directory) {
    return everything
        || directories.contains(directory)
        || prefixes.stream().anyMatch(prefix -> prefix.touches(directory));
  }
}
