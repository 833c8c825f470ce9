package io.forebay.gateway.s3;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** Percent-encoding as AWS signs it (RFC 3986: all but A–Z a–z 0–9 - . _ ~ is encoded). */
final class PercentCoding {
  private static final HexFormat HEX = HexFormat.of().withUpperCase();

  private PercentCoding() {}

  /**
   * Decodes to text.
   *
   * @param plusIsSpace as in queries
   * @throws S3Refusal INVALID_URI when an escape is broken or the bytes are not UTF-8
   */
  static String decode(String raw, boolean plusIsSpace) {
    if (isPlain(raw, plusIsSpace)) {
      return raw;
    }
    var bytes = new byte[raw.length()];
    int length = 0;
    for (int i = 0; i < raw.length(); i++) {
      char c = raw.charAt(i);
      if (c == '%') {
        if (i + 2 >= raw.length()
            || !HexFormat.isHexDigit(raw.charAt(i + 1))
            || !HexFormat.isHexDigit(raw.charAt(i + 2))) {
          throw new S3Refusal(S3Code.INVALID_URI, "an escape in the URI is broken");
        }
        bytes[length++] = (byte) HexFormat.fromHexDigits(raw, i + 1, i + 3);
        i += 2;
      } else {
        bytes[length++] = c == '+' && plusIsSpace ? (byte) ' ' : (byte) c;
      }
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes, 0, length))
          .toString();
    } catch (CharacterCodingException notText) {
      throw new S3Refusal(S3Code.INVALID_URI, "the URI is not UTF-8");
    }
  }

  /** Whether decoding changes nothing: ASCII without an escape, as most keys are. */
  private static boolean isPlain(String raw, boolean plusIsSpace) {
    for (int i = 0; i < raw.length(); i++) {
      char c = raw.charAt(i);
      if (c == '%' || c >= 0x80 || (c == '+' && plusIsSpace)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Encodes text.
   *
   * @param keepSlash leaves '/' as it is, as in paths
   */
  static String encode(String text, boolean keepSlash) {
    if (isUnreserved(text, keepSlash)) {
      return text;
    }
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    var out = new StringBuilder(bytes.length + 16);
    for (byte b : bytes) {
      if (isUnreserved((char) (b & 0xFF), keepSlash)) {
        out.append((char) b);
      } else {
        out.append('%');
        HEX.toHexDigits(out, b);
      }
    }
    return out.toString();
  }

  private static boolean isUnreserved(String text, boolean keepSlash) {
    for (int i = 0; i < text.length(); i++) {
      if (!isUnreserved(text.charAt(i), keepSlash)) {
        return false;
      }
    }
    return true;
  }

  private static boolean isUnreserved(char c, boolean keepSlash) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || c == '-'
        || c == '.'
        || c == '_'
        || c == '~'
        || (c == '/' && keepSlash);
  }
}
