package io.forebay.app.chaos;

import io.forebay.app.demo.Content;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Arrays;

/**
 * Contents that say which they are, so that what is read names the write that made it. Of each byte
 * is known whose it is and where it belongs:
 *
 * <pre>
 * offset 0      8         16
 *        tag    length    ...        both big-endian
 * block i, from offset 65,536 i on: i (8 bytes, big-endian), then the SHA-256 of (tag, j) for each
 * j from 0 on, 32 bytes each, without the first 8 of them; the head lies over block 0.
 * </pre>
 *
 * <p>boto3_client.py makes the same.
 */
final class Tagged {
  static final int LEAST_BYTES = 16;

  private static final int BLOCK_BYTES = 1 << 16;
  private static final int DIGEST_BYTES = 32;

  private Tagged() {}

  /**
   * Makes a content.
   *
   * @param lengthBytes at least {@link #LEAST_BYTES}
   */
  static byte[] content(long tag, int lengthBytes) {
    byte[] block = block(tag);
    byte[] content = new byte[lengthBytes];
    for (int at = 0; at < lengthBytes; at += BLOCK_BYTES) {
      ByteBuffer.wrap(block).putLong(at / BLOCK_BYTES);
      System.arraycopy(block, 0, content, at, Math.min(BLOCK_BYTES, lengthBytes - at));
    }
    ByteBuffer.wrap(content).putLong(tag).putLong(lengthBytes);
    return content;
  }

  private static byte[] block(long tag) {
    ByteBuffer block = ByteBuffer.allocate(BLOCK_BYTES);
    MessageDigest digest = Content.sha256();
    ByteBuffer asked = ByteBuffer.allocate(2 * Long.BYTES);
    for (long j = 0; j < BLOCK_BYTES / DIGEST_BYTES; j++) {
      digest.update(asked.clear().putLong(tag).putLong(j).flip());
      block.put(digest.digest());
    }
    return block.array();
  }

  /**
   * Which content this is.
   *
   * @param what was read, for the message
   * @throws Violation when it is none: a part of one, a mixture, or something else
   */
  static long tag(byte[] content, String what) {
    if (content.length < LEAST_BYTES) {
      throw new Violation(what + " has " + content.length + " bytes, and nobody wrote so few");
    }
    ByteBuffer head = ByteBuffer.wrap(content);
    long tag = head.getLong();
    long lengthBytes = head.getLong();
    if (lengthBytes != content.length) {
      throw new Violation(
          what
              + " has "
              + content.length
              + " bytes, and its head (value "
              + tag
              + ") says "
              + lengthBytes);
    }
    int differs = Arrays.mismatch(content, content(tag, content.length));
    if (differs >= 0) {
      throw new Violation(
          what + " begins as value " + tag + " and is not that from byte " + differs + " on");
    }
    return tag;
  }
}
