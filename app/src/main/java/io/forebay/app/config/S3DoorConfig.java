package io.forebay.app.config;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What the S3 door of one server is told.
 *
 * @param listen HOST:PORT
 * @param certificate what it shows over TLS; empty: plain HTTP
 * @param domain under which buckets are host names; empty: path style only
 * @param anonymous whether requests without a signature are served; only on loopback
 * @param connections how many may be open; those beyond are closed at once
 * @param idleMillis how long a connection may be open without a request
 */
public record S3DoorConfig(
    String listen,
    Optional<Certificate> certificate,
    Optional<String> domain,
    boolean anonymous,
    int connections,
    long idleMillis) {
  /** A load balancer's pool and some hundred machines' SDKs; each costs a socket and some KiB. */
  public static final int DEFAULT_CONNECTIONS = 10_000;

  /** Longer than the SDKs keep an unused connection (60 s), so that they close it, not we. */
  public static final long DEFAULT_IDLE_MILLIS = 75_000;

  private static final String HTTPS = "https://";

  /** Where a certificate and its key come from. */
  public sealed interface Certificate {
    /** PEM files of the operator's. */
    record Own(Path certificate, Path key) implements Certificate {}

    /** One that is made at the first start, and kept in this directory. */
    record SelfSigned(Path directory) implements Certificate {}
  }

  /**
   * Reads where the door listens and what it shows there.
   *
   * @param names what the settings are called where they were written, for messages
   * @param listen {@code HOST:PORT}, or {@code https://HOST:PORT}
   * @param selfSigned directory of the certificate that is made when none is named
   * @throws ForebayException CONFIGURATION with the setting's name and what would be right
   */
  public static S3DoorConfig of(
      Names names,
      String listen,
      Optional<Path> certificate,
      Optional<Path> key,
      Path selfSigned,
      Optional<String> domain,
      boolean anonymous,
      int connections,
      long idleMillis) {
    boolean secure = listen.startsWith(HTTPS);
    String address = listen.replaceFirst("^https?://", "");
    if (!Addresses.isValid(address)) {
      throw wrong(
          names.where
              + names.listen
              + ": '"
              + listen
              + "' is no HOST:PORT, such as 127.0.0.1:9000 or https://127.0.0.1:9000");
    }
    if (certificate.isPresent() != key.isPresent()) {
      throw wrong(
          names.where + names.certificate + " and " + names.key + " go together; one is missing");
    }
    if (certificate.isPresent() && !secure) {
      throw wrong(
          names.where
              + names.certificate
              + " is for HTTPS: write "
              + names.listen
              + " as "
              + HTTPS
              + address
              + ", or leave it out");
    }
    if (anonymous && !Addresses.isLoopback(address)) {
      throw wrong(
          names.where
              + names.anonymous
              + ": unsigned requests are served on loopback only, and "
              + names.listen
              + " is "
              + address
              + "; leave it out, or listen on 127.0.0.1:PORT");
    }
    Optional<Certificate> shown = Optional.empty();
    if (secure) {
      shown =
          Optional.of(
              certificate.isPresent()
                  ? new Certificate.Own(certificate.get(), key.orElseThrow())
                  : new Certificate.SelfSigned(selfSigned));
    }
    return new S3DoorConfig(address, shown, domain, anonymous, connections, idleMillis);
  }

  /**
   * What the settings are called.
   *
   * @param where what stands in front of every message, such as the file and a colon
   */
  public record Names(
      String where, String listen, String certificate, String key, String anonymous) {}

  private static ForebayException wrong(String message) {
    return new ForebayException(ErrorCode.CONFIGURATION, message);
  }
}
