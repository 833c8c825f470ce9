package io.forebay.core.file;

import java.util.OptionalLong;

/**
 * How a body is to be written.
 *
 * @param expectedLengthBytes where known; publishing another length fails with INCOMPLETE_BODY
 * @param md5FromCaller the caller computes the MD5 and hands it to {@link BodyWriter#publish}, so
 *     the implementation need not; otherwise the implementation computes it for bodies of at most
 *     {@link EntityTag#MD5_MAX_BYTES}
 */
public record WriteOptions(
    ObjectMetadata metadata,
    WriteConditions conditions,
    OptionalLong expectedLengthBytes,
    boolean md5FromCaller) {
  public static final WriteOptions DEFAULT =
      new WriteOptions(ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.empty(), false);
}
