package io.forebay.node.read;

import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.ObjectHead;
import java.util.Optional;

/**
 * A generation that somebody has open: found again in the namespace when its bytes have gone to
 * another place (F9).
 *
 * @param key under which it was opened; another key is another generation
 */
public record OpenGeneration(
    Env env, ControlPlane plane, BucketId bucket, String key, Generation generation)
    implements ManifestReader.Whereabouts {
  private static final long LOOK_NANOS = 100_000_000L;
  private static final long RECORD_NANOS = 60_000_000_000L;

  /** Where a generation lies that was found under a key. */
  public static ManifestReader.Place place(
      NamespaceAnswer.Found found, BucketId bucket, String key) {
    ObjectHead head = found.object();
    return new ManifestReader.Place(
        found.manifest(),
        head.storeEtag()
            .filter(etag -> head.lengthBytes() > 0)
            .map(etag -> ManifestReader.flushed(bucket, key, etag, head.lengthBytes())));
  }

  /**
   * {@inheritDoc}
   *
   * <p>While an attempt of ours is not recorded, on its key or on one that it refers to, a changed
   * store object may be our own doing.
   *
   * @throws ForebayException GENERATION_GONE when readers' time is over (G8)
   */
  @Override
  public Optional<ManifestReader.Place> after(ManifestReader.Place failed, boolean storeChanged) {
    long deadline = env.nanoTime() + RECORD_NANOS;
    while (true) {
      boolean undecided =
          storeChanged
              && (undecided(bucket, key)
                  || failed.manifest().refs().stream()
                      .anyMatch(ref -> undecided(ref.bucket(), ref.key())));
      if (!(plane.query(new NamespaceQuery.OfGeneration(generation))
          instanceof NamespaceAnswer.Found found)) {
        throw new ForebayException(
            ErrorCode.GENERATION_GONE,
            "'"
                + key
                + "' was overwritten or deleted while it was read, longer ago than its bucket keeps"
                + " old generations for readers");
      }
      ManifestReader.Place now = place(found, bucket, key);
      if (!now.equals(failed)) {
        return Optional.of(now);
      }
      if (!undecided || env.nanoTime() >= deadline) {
        return Optional.empty();
      }
      env.sleep(LOOK_NANOS);
    }
  }

  private boolean undecided(BucketId of, String storeKey) {
    return plane.query(new NamespaceQuery.FlushOf(of, storeKey))
            instanceof NamespaceAnswer.OfKey(var record)
        && record.filter(OpenGeneration::undecided).isPresent();
  }

  private static boolean undecided(FlushRecord record) {
    return record.open().isPresent() || !record.unresolved().isEmpty();
  }
}
