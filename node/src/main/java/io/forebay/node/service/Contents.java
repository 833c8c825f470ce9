package io.forebay.node.service;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.ObjectHead;
import java.util.List;
import java.util.Optional;

/** All that a bucket holds, also what listings leave out: begun checkpoints (decision 0024). */
final class Contents {
  private final ControlPlane plane;

  Contents(ControlPlane plane) {
    this.plane = plane;
  }

  /**
   * One page of it.
   *
   * @throws ForebayException UNAVAILABLE, also while a voter leads that does not know the question
   */
  NamespaceAnswer.Listing page(BucketId bucket, ListQuery query) {
    NamespaceAnswer answer;
    try {
      answer =
          plane.query(
              new NamespaceQuery.ListAll(
                  bucket, query.prefix(), query.delimiter(), query.startAfter(), query.max()));
    } catch (ForebayException failure) {
      if (failure.code() != ErrorCode.CORRUPT) {
        throw failure;
      }
      // So an older version calls bytes whose meaning it does not know.
      throw new ForebayException(
          ErrorCode.UNAVAILABLE,
          "the voter that leads the namespace cannot list begun checkpoints: it runs an older"
              + " version of Forebay than this node; replace it, or try again when another leads ("
              + failure.getMessage()
              + ")",
          failure);
    }
    if (answer instanceof NamespaceAnswer.Listing listing) {
      return listing;
    }
    throw NodeFileService.unexpected(answer);
  }

  /** The policies of a bucket, by prefix. */
  List<PrefixPolicy> policies(BucketId bucket) {
    NamespaceAnswer answer = plane.query(new NamespaceQuery.AllPolicies());
    if (answer instanceof NamespaceAnswer.Policies(var buckets)) {
      return buckets.stream()
          .filter(each -> each.bucket().equals(bucket))
          .flatMap(each -> each.policies().stream())
          .toList();
    }
    throw NodeFileService.unexpected(answer);
  }

  /**
   * Why a bucket is not deleted, with the first key in the way and what to do about it; the
   * namespace's own words where that cannot be asked for now.
   */
  ForebayException notEmpty(Bucket bucket, NamespaceResult.Refused refused) {
    Optional<String> why;
    try {
      why =
          page(bucket.id(), new ListQuery("", "", "", 1)).objects().stream()
              .map(ObjectHead::key)
              .findFirst()
              .map(first -> inTheWay(bucket, first));
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      why = Optional.empty(); // the bucket is not empty all the same
    }
    return new ForebayException(
        refused.code(),
        "deleting bucket '" + bucket.name() + "': " + why.orElse(refused.message()));
  }

  private String inTheWay(Bucket bucket, String key) {
    for (PrefixPolicy policy : policies(bucket.id())) {
      Optional<String> directory = policy.checkpointOf(key);
      if (directory.isPresent() && isAbsent(bucket.id(), directory.get() + policy.marker())) {
        return "it holds '"
            + key
            + "', which is of a begun checkpoint: listings leave it out until '"
            + directory.get()
            + policy.marker()
            + "' is published; `forebay rm -r "
            + bucket.name()
            + "/"
            + directory.get()
            + "` deletes it, `forebay ls -r --all "
            + bucket.name()
            + "/` shows all that the bucket holds";
      }
    }
    return "it holds '"
        + key
        + "'; `forebay rm -r "
        + bucket.name()
        + "/` deletes all that `forebay ls -r "
        + bucket.name()
        + "/` lists";
  }

  private boolean isAbsent(BucketId bucket, String key) {
    return plane.query(new NamespaceQuery.Stat(bucket, key)) instanceof NamespaceAnswer.Absent;
  }
}
