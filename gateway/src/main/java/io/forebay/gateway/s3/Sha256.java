package io.forebay.gateway.s3;

import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** SHA-256 and its HMAC, which every signature is made of. */
public final class Sha256 {
  /** SHA-256 of nothing. */
  public static final String EMPTY_HEX =
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

  /** Cloned, since finding one costs as much as a short hash. */
  private static final MessageDigest SHA_256 = digest("SHA-256");

  private Sha256() {}

  static MessageDigest digest(String algorithm) {
    try {
      return MessageDigest.getInstance(algorithm);
    } catch (NoSuchAlgorithmException absent) {
      throw new IllegalStateException("every JDK has " + algorithm, absent);
    }
  }

  /** Of some bytes, in lower-case hex. */
  public static String hex(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(((MessageDigest) SHA_256.clone()).digest(bytes));
    } catch (CloneNotSupportedException impossible) {
      throw new IllegalStateException("the JDK's SHA-256 can be cloned", impossible);
    }
  }

  /** HMAC-SHA256 of a text of Latin-1. */
  public static byte[] hmac(byte[] key, String text) {
    return mac(key).doFinal(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** HMAC-SHA256 under a key, to be given to {@link #hmac(Mac, String)} any number of times. */
  static Mac mac(byte[] key) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      return mac;
    } catch (NoSuchAlgorithmException | InvalidKeyException impossible) {
      throw new IllegalStateException("every JDK has HmacSHA256", impossible);
    }
  }

  /** The same under a key that is ready; from any thread. */
  static byte[] hmac(Mac ready, String text) {
    try {
      return ((Mac) ready.clone()).doFinal(text.getBytes(StandardCharsets.ISO_8859_1));
    } catch (CloneNotSupportedException impossible) {
      throw new IllegalStateException("the JDK's HmacSHA256 can be cloned", impossible);
    }
  }

  /** The key that signs for a day, region and service (AWS: "derive a signing key"). */
  public static byte[] signingKey(String secret, String date, String region, String service) {
    byte[] ofSecret = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
    return hmac(hmac(hmac(hmac(ofSecret, date), region), service), "aws4_request");
  }

  /** Compares without telling by the time it takes how much is equal. */
  static boolean same(String a, String b) {
    return MessageDigest.isEqual(
        a.getBytes(StandardCharsets.ISO_8859_1), b.getBytes(StandardCharsets.ISO_8859_1));
  }
}
