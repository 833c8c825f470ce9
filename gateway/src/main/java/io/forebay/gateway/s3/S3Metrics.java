package io.forebay.gateway.s3;

import java.util.List;

/** What the door has done since its start, for whoever exposes metrics. */
public interface S3Metrics {
  /** Requests answered, by operation and HTTP status. */
  List<Requests> requests();

  /** Bytes of object bodies received. */
  long receivedBytes();

  /** Bytes of object bodies sent. */
  long sentBytes();

  /**
   * Requests of one kind.
   *
   * @param operation S3's name of the call, such as GetObject
   * @param status HTTP status; 0: broken off in the middle of the answer
   */
  record Requests(String operation, int status, long count) {}
}
