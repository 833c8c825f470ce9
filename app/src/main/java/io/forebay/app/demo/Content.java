package io.forebay.app.demo;

import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** A stream of so many bytes that a seed determines, with the SHA-256 of what was read of it. */
public final class Content extends InputStream {
  private final MessageDigest digest = sha256();
  private long state;
  private long left;

  public Content(long seed, long lengthBytes) {
    this.state = seed * 0x9E3779B97F4A7C15L + 1;
    this.left = lengthBytes;
  }

  /** A SHA-256. */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException missing) {
      throw new IllegalStateException(missing);
    }
  }

  @Override
  public int read() {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) {
    if (left == 0) {
      return -1;
    }
    int count = (int) Math.min(length, left);
    // xorshift: fast, and no two blocks alike.
    for (int i = 0; i < count; ) {
      state ^= state << 13;
      state ^= state >>> 7;
      state ^= state << 17;
      long word = state;
      for (int k = 0; k < 8 && i < count; k++, i++) {
        target[offset + i] = (byte) word;
        word >>>= 8;
      }
    }
    digest.update(target, offset, count);
    left -= count;
    return count;
  }

  /** SHA-256 of what was read, in hex; once, at the end. */
  public String sha256Hex() {
    return HexFormat.of().formatHex(digest.digest());
  }
}
