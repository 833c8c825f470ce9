package io.forebay.core.cluster;

/** What a key pair may do in a bucket. Each right holds those before it. */
public enum KeyRight {
  /** Read and list objects. */
  READ,
  /** Also write and delete objects, and upload in parts. */
  WRITE,
  /** Also create and delete the bucket. */
  ADMIN
}
