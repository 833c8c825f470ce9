package io.forebay.gateway.s3;

import java.util.Collections;
import java.util.SortedMap;

/** A request that this protocol's own rules refuse. */
final class S3Refusal extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final S3Code code;
  private final transient SortedMap<String, String> details;

  S3Refusal(S3Code code, String message) {
    this(code, message, Collections.emptySortedMap());
  }

  /**
   * @param details what else the answer's document says, by element
   */
  S3Refusal(S3Code code, String message, SortedMap<String, String> details) {
    super(message, null, false, false);
    this.code = code;
    this.details = details;
  }

  SortedMap<String, String> details() {
    return details;
  }

  S3Code code() {
    return code;
  }
}
