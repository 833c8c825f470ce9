package io.forebay.core.cluster;

import io.forebay.core.codec.Tag;
import io.forebay.core.error.ErrorCode;

/** What the cluster log answers. */
public sealed interface ClusterResult {
  /**
   * Done, or done before. The version is that of the image which shows it.
   *
   * @param note what the sender should tell its operator; mostly empty
   */
  @Tag(1)
  record Done(long version, String note) implements ClusterResult {
    public Done(long version) {
      this(version, "");
    }
  }

  /** Nothing changed, and why. */
  @Tag(2)
  record Refused(ErrorCode code, String message) implements ClusterResult {}
}
