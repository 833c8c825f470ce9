package io.forebay.core.cluster;

/** A key pair of the S3 door. The secret never stands in a log line or message. */
public record AccessKey(String accessKeyId, String secret) {
  @Override
  public String toString() {
    return "AccessKey[" + accessKeyId + "]";
  }
}
