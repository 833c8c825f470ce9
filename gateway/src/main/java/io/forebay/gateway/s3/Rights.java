package io.forebay.gateway.s3;

import io.forebay.core.cluster.KeyGrant;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.List;
import java.util.Optional;

/**
 * What a caller may do.
 *
 * @param grants empty: everything
 */
record Rights(Optional<List<KeyGrant>> grants) {
  static final Rights ALL = new Rights(Optional.empty());

  boolean may(KeyRight right, String bucket) {
    return grants.isEmpty() || grants.get().stream().anyMatch(grant -> grant.allows(right, bucket));
  }

  /**
   * Refuses what is not granted, before it is said whether the bucket exists.
   *
   * @throws ForebayException ACCESS_DENIED
   */
  void require(KeyRight right, String bucket) {
    if (!may(right, bucket)) {
      throw new ForebayException(
          ErrorCode.ACCESS_DENIED,
          "Access Denied: the key pair lacks the right "
              + right
              + " in this bucket; whoever runs the cluster grants it with s3.keys");
    }
  }
}
