package io.forebay.gateway.http;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertificateEncodingException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Who a server is over TLS: its private key, and the certificates that vouch for it.
 *
 * @param chain the server's own certificate first, then those of its issuers; not empty
 */
public record TlsIdentity(PrivateKey key, List<X509Certificate> chain) {
  private static final Pattern BLOCK =
      Pattern.compile("-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \\1-----");

  public TlsIdentity {
    chain = List.copyOf(chain);
    if (chain.isEmpty()) {
      throw new IllegalArgumentException("an identity needs a certificate");
    }
  }

  /** The server's own certificate. */
  public X509Certificate certificate() {
    return chain.getFirst();
  }

  /**
   * Reads PEM files, as OpenSSL and the usual authorities write them.
   *
   * @param certificates the server's certificate, then its issuers'
   * @param privateKey one PKCS #8 block that is not encrypted; RSA, EC or Ed25519
   * @throws ForebayException CONFIGURATION, naming the file, what is wrong with it and what to do:
   *     a file that is missing, unreadable or of another form; a key that is not the certificate's
   */
  public static TlsIdentity read(Path certificates, Path privateKey) {
    List<X509Certificate> chain = chain(certificates, text("certificate", certificates));
    PublicKey ofCertificate = chain.getFirst().getPublicKey();
    PrivateKey key = key(privateKey, text("private key", privateKey), ofCertificate.getAlgorithm());
    requireSamePair(certificates, privateKey, key, ofCertificate);
    return new TlsIdentity(key, chain);
  }

  /** The certificates as {@link #read} takes them; no secret. */
  public String chainPem() {
    var text = new StringBuilder();
    for (X509Certificate each : chain) {
      try {
        text.append(pem("CERTIFICATE", each.getEncoded()));
      } catch (CertificateEncodingException failure) {
        throw new IllegalStateException("a certificate that was decoded has no form", failure);
      }
    }
    return text.toString();
  }

  /** The key as {@link #read} takes it: a secret. */
  public String keyPem() {
    return pem("PRIVATE KEY", key.getEncoded());
  }

  private static String pem(String kind, byte[] der) {
    String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
    return "-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n";
  }

  private static String text(String what, Path file) {
    try {
      return Files.readString(file, StandardCharsets.ISO_8859_1);
    } catch (NoSuchFileException missing) {
      throw wrong(file, "the TLS " + what + " is not there: check the path", missing);
    } catch (IOException failure) {
      throw wrong(
          file,
          "the TLS " + what + " cannot be read (" + failure + "): check the path and its rights",
          failure);
    }
  }

  private static List<X509Certificate> chain(Path file, String text) {
    try {
      List<X509Certificate> chain =
          CertificateFactory.getInstance("X.509")
              .generateCertificates(
                  new ByteArrayInputStream(text.getBytes(StandardCharsets.ISO_8859_1)))
              .stream()
              .map(X509Certificate.class::cast)
              .toList();
      if (!chain.isEmpty() && text.contains("-----BEGIN CERTIFICATE-----")) {
        return chain;
      }
      throw noCertificate(file, null);
    } catch (CertificateException failure) {
      throw noCertificate(file, failure);
    }
  }

  private static ForebayException noCertificate(Path file, @Nullable Throwable cause) {
    return wrong(
        file,
        "is no certificate in PEM form"
            + (cause == null ? "" : " (" + cause.getMessage() + ")")
            + ": it must hold -----BEGIN CERTIFICATE-----, the server's own first",
        cause);
  }

  private static PrivateKey key(Path file, String text, String algorithm) {
    Matcher block = BLOCK.matcher(text);
    while (block.find()) {
      String kind = block.group(1);
      switch (kind) {
        case "PRIVATE KEY" -> {
          try {
            byte[] der = Base64.getMimeDecoder().decode(block.group(2));
            return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
          } catch (GeneralSecurityException | IllegalArgumentException failure) {
            // Not the library's message: it might show what the file holds.
            throw wrong(
                file,
                "its key cannot be read as one of the certificate's kind, "
                    + algorithm
                    + ": is it this certificate's, and undamaged?",
                failure);
          }
        }
        case "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY" ->
            throw wrong(
                file,
                "holds -----BEGIN "
                    + kind
                    + "-----, which cannot be read: make it plain PKCS #8 with `openssl pkcs8"
                    + " -topk8 -nocrypt -in KEY -out NEW-KEY`",
                null);
        default -> {} // parameters of the curve, or a certificate in the same file
      }
    }
    throw wrong(
        file, "is no private key in PEM form: it must hold -----BEGIN PRIVATE KEY-----", null);
  }

  /** Neither the JDK nor Netty compares them; clients would see handshakes that fail. */
  private static void requireSamePair(
      Path certificates, Path privateKey, PrivateKey key, PublicKey ofCertificate) {
    String algorithm =
        switch (key.getAlgorithm()) {
          case "RSA" -> "SHA256withRSA";
          case "EC" -> "SHA256withECDSA";
          default -> key.getAlgorithm();
        };
    byte[] probe = "forebay".getBytes(StandardCharsets.US_ASCII);
    boolean same;
    try {
      Signature signing = Signature.getInstance(algorithm);
      signing.initSign(key);
      signing.update(probe);
      Signature checking = Signature.getInstance(algorithm);
      checking.initVerify(ofCertificate);
      checking.update(probe);
      same = checking.verify(signing.sign());
    } catch (GeneralSecurityException failure) {
      throw wrong(
          privateKey,
          "a key of the kind " + key.getAlgorithm() + " cannot be used: take RSA or EC",
          failure);
    }
    if (!same) {
      throw wrong(
          privateKey,
          "is not the key of the certificate in "
              + certificates
              + ": name the two that were made"
              + " together, and put the server's own certificate first in its file",
          null);
    }
  }

  private static ForebayException wrong(Path file, String what, @Nullable Throwable cause) {
    return new ForebayException(ErrorCode.CONFIGURATION, file + ": " + what, cause);
  }

  /** Never the key. */
  @Override
  public String toString() {
    return "TlsIdentity[" + certificate().getSubjectX500Principal() + "]";
  }
}
